/** The control socket, with the genuine Litestream at either end of it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDatabase } from "../support/cli-fixture.ts";
import { ControlFixture } from "../support/control-fixture.ts";
import { eddy } from "../support/eddy-cli.ts";
import {
  litestream,
  litestreamAsync,
  startLitestream,
  type LitestreamProcess,
} from "../support/litestream.ts";

describe("Litestream's client, asking Eddy", () => {
  let fixture: ControlFixture;
  let path: string;
  beforeAll(async () => {
    fixture = await ControlFixture.start();
    path = fixture.at("app.db");
  });
  afterAll(() => fixture[Symbol.asyncDispose]());

  /** Flags come before the path there. */
  async function ask(command: string, ...args: string[]): Promise<unknown> {
    const socket = ["-socket", fixture.socketPath];
    const { status, output } = await litestreamAsync([command, ...socket, "-json", ...args]);
    expect({ status, output }).toMatchObject({ status: 0 });
    return JSON.parse(output);
  }

  it("gets its sync, and what it waits for is in the store", async () => {
    fixture.app.exec("INSERT INTO t (body) VALUES ('three')");
    const answer = await ask("sync", "-wait", path);
    const txid = Number(fixture.target.find(path)?.state.uploaded);
    expect(answer).toEqual({
      db_path: path,
      txid,
      replica_txid: txid,
      duration_ms: expect.any(Number),
    });
    const restored = fixture.at("restored.db");
    const restore = await litestreamAsync([
      "restore",
      "-o",
      restored,
      fixture.replicaUrl("app.db"),
    ]);
    expect(restore).toMatchObject({ status: 0 });
    const database = new DatabaseSync(restored);
    expect(database.prepare("SELECT count(*) AS n FROM t").get()).toEqual({ n: 3 });
    database.close();
    expect(await ask("sync", path)).toEqual({
      db_path: path,
      txid,
      duration_ms: expect.any(Number),
    });
  });

  it("reads the list and who we are", async () => {
    expect(await ask("list")).toEqual({
      databases: [{ path, status: "replicating", last_sync_at: expect.stringMatching(/Z$/) }],
    });
    expect(await ask("info")).toMatchObject({
      version: "1.2.3",
      pid: process.pid,
      database_count: 1,
    });
  });

  it("stops, starts, registers and unregisters", async () => {
    const { socketPath: socket } = fixture;
    const txid = Number(fixture.target.find(path)?.state.txid);
    const change = { db_path: path, txid, socket };
    expect(await ask("stop", path)).toEqual({ status: "stopped", state: "stopped", ...change });
    expect(await ask("start", path)).toEqual({ status: "started", state: "running", ...change });
    fixture.open("second.db");
    const second = fixture.at("second.db");
    const replica = fixture.replicaUrl("second.db");
    expect(await ask("register", "-replica", replica, second)).toEqual({
      status: "registered",
      db_path: second,
      replica,
      socket,
    });
    expect(await ask("unregister", second)).toEqual({
      status: "unregistered",
      db_path: second,
      final_txid: 1,
      socket,
    });
  });

  it("prints our sentences when it is refused", async () => {
    const args = ["sync", "-socket", fixture.socketPath, "-wait", fixture.at("none.db")];
    const { status, output } = await litestreamAsync(args);
    expect(output).toContain("database not found");
    expect(status).toBe(1);
  });
});

describe("Eddy's client, asking Litestream", () => {
  const folder = mkdtempSync(join(tmpdir(), "eddy-control-interop-"));
  const at = (name: string) => join(folder, name);
  const path = at("app.db");
  const socket = at("litestream.sock");
  const config = at("litestream.yml");
  let daemon: LitestreamProcess;

  beforeAll(async () => {
    createDatabase(path);
    writeFileSync(
      config,
      `socket: { enabled: true, path: ${socket} }
dbs:
  - path: ${path}
    replica: { url: file://${at("replica")} }
`,
    );
    daemon = await startLitestream(["replicate", "-config", config], {
      ready: "control socket listening",
    });
  });
  afterAll(async () => {
    await daemon[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  async function ask(...args: string[]): Promise<unknown> {
    const { status, stdout, stderr } = await eddy([...args, "--json", "--socket", socket]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    return JSON.parse(stdout);
  }

  it("gets its sync", async () => {
    expect(await ask("sync", path, "--wait")).toEqual({
      db_path: path,
      txid: 1,
      replica_txid: 1,
      duration_ms: expect.any(Number),
    });
  });

  it("reads the list and who it is", async () => {
    expect(await ask("list")).toEqual({
      databases: [{ path, status: "replicating", last_sync_at: expect.any(String) }],
    });
    expect(await ask("info")).toMatchObject({ version: "0.5.17", pid: daemon.pid });
  });

  it("stops, starts, registers and unregisters", async () => {
    const change = { db_path: path, txid: 1, socket };
    expect(await ask("stop", path)).toEqual({ status: "stopped", state: "stopped", ...change });
    const refused = await eddy(["sync", path, "--wait", "--socket", socket]);
    expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining("not open") });
    expect(await ask("start", path)).toEqual({ status: "started", state: "running", ...change });
    createDatabase(at("second.db"));
    const replica = `file://${at("second-replica")}`;
    const second = { db_path: at("second.db"), socket };
    expect(await ask("register", at("second.db"), "--replica", replica)).toEqual({
      status: "registered",
      replica,
      ...second,
    });
    expect(await ask("unregister", at("second.db"))).toMatchObject({
      status: "unregistered",
      ...second,
    });
  });

  it("names a database that it does not have, with our exit code", async () => {
    const refused = await eddy(["sync", at("none.db"), "--wait", "--socket", socket]);
    expect(refused).toMatchObject({
      status: 3,
      stderr: expect.stringContaining("database not found"),
    });
  });

  it("sees in the staging directory what Litestream's own status sees", async () => {
    await ask("sync", path, "--wait");
    const theirs = litestream(["status", "-config", config, "-json"]);
    const [expected] = JSON.parse(theirs.output) as object[];
    const { stdout } = await eddy(["status", path, "--json"]);
    expect(JSON.parse(stdout)).toEqual([{ ...expected, wal_size_bytes: expect.any(Number) }]);
  });
});
