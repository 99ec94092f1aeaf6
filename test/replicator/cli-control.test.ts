import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ControlFixture } from "../support/control-fixture.ts";
import { eddy } from "../support/eddy-cli.ts";

let fixture: ControlFixture;
let path: string;
beforeAll(async () => {
  fixture = await ControlFixture.start();
  path = fixture.at("app.db");
});
afterAll(() => fixture[Symbol.asyncDispose]());

/** A command that asks the fixture's replicator, its answer read as JSON. */
async function ask(...args: string[]): Promise<{ status: number | null; answer: unknown }> {
  const { status, stdout } = await eddy([...args, "--json", "-socket", fixture.socketPath]);
  return { status, answer: JSON.parse(stdout) };
}

async function say(...args: string[]): Promise<{ status: number | null; text: string }> {
  const { status, stdout, stderr } = await eddy([...args, "--socket", fixture.socketPath]);
  return { status, text: stdout + stderr };
}

describe("the commands that ask a running replicator", () => {
  it("sync: answer with the TXID that is safely stored", async () => {
    fixture.app.exec("INSERT INTO t (body) VALUES ('three')");
    const { status, answer } = await ask("sync", path, "-wait");
    const { txid } = answer as { txid: number };
    expect({ status, answer }).toEqual({
      status: 0,
      answer: { db_path: path, txid, replica_txid: txid, duration_ms: expect.any(Number) },
    });
    const hex = txid.toString(16).padStart(16, "0");
    const file = fixture.at(`replicas/app.db/ltx/0/${hex}-${hex}.ltx`);
    expect(readFileSync(file).subarray(0, 4).toString()).toBe("LTX1");
    expect(await say("sync", path, "--wait")).toEqual({
      status: 0,
      text: expect.stringContaining(`TXID ${hex} is safely in the store`),
    });
  });

  it("sync: say no more than is known when they do not wait", async () => {
    const { status, answer } = await ask("sync", path);
    expect(status).toBe(0);
    expect(Object.keys(answer as object)).toEqual(["db_path", "txid", "duration_ms"]);
  });

  it("info and list: tell who runs and what it does", async () => {
    const info = await ask("info");
    expect(info).toEqual({
      status: 0,
      answer: {
        version: "1.2.3",
        pid: process.pid,
        uptime_seconds: expect.any(Number),
        started_at: expect.any(String),
        database_count: 1,
      },
    });
    expect(await ask("list")).toEqual({
      status: 0,
      answer: { databases: [{ path, status: "replicating", last_sync_at: expect.any(String) }] },
    });
    expect(await say("list")).toMatchObject({ text: expect.stringContaining("replicating") });
  });

  it("stop and start: name the state and the TXID", async () => {
    const { socketPath: socket } = fixture;
    const txid = Number(fixture.target.find(path)!.state.txid);
    expect(await ask("stop", path)).toEqual({
      status: 0,
      answer: { status: "stopped", db_path: path, state: "stopped", txid, socket },
    });
    expect(await say("stop", path)).toMatchObject({
      status: 0,
      text: expect.stringContaining("already stopped at TXID"),
    });
    const refused = await say("sync", path, "--wait");
    expect(refused).toEqual({ status: 1, text: expect.stringContaining(`eddy start ${path}`) });
    expect(await ask("start", path)).toEqual({
      status: 0,
      answer: { status: "started", db_path: path, state: "running", txid, socket },
    });
  });

  it("register and unregister: take a database on, and let it go", async () => {
    const { socketPath: socket } = fixture;
    fixture.open("second.db");
    const second = fixture.at("second.db");
    const replica = fixture.replicaUrl("second.db");
    expect(await ask("register", second, "-replica", replica)).toEqual({
      status: 0,
      answer: { status: "registered", db_path: second, replica, socket },
    });
    expect(await say("unregister", second, "--dry-run")).toEqual({
      status: 0,
      text: expect.stringContaining("would ask"),
    });
    expect(fixture.target.find(second)?.status).toBe("replicating");
    expect(await ask("unregister", second)).toEqual({
      status: 0,
      answer: { status: "unregistered", db_path: second, final_txid: 1, socket },
    });
    expect(fixture.target.find(second)).toBeUndefined();
  });

  it("name a database that is not replicated, with exit code 3", async () => {
    const { status, text } = await say("sync", fixture.at("none.db"), "--wait");
    expect({ status, text }).toEqual({
      status: 3,
      text: expect.stringContaining(`database not found: ${fixture.at("none.db")}`),
    });
  });

  it("say what to do when no replicator listens", async () => {
    for (const args of [["sync", path], ["list"], ["info"], ["start", path], ["stop", path]]) {
      const { status, stderr } = await eddy([...args, "--socket", fixture.at("none.sock")]);
      expect(stderr).toContain(`no replicator listens on ${fixture.at("none.sock")}`);
      expect(stderr).toContain("--socket PATH");
      expect(status).toBe(1);
    }
  });

  it("refuse a time-out that is none", async () => {
    expect(await say("info", "--timeout", "soon")).toEqual({
      status: 2,
      text: expect.stringContaining("--timeout is a number of seconds"),
    });
  });
});
