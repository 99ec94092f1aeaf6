/** `eddy replicate` with a configuration that asks for a control socket and metrics: all of it, as its users run it. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDatabase } from "../support/cli-fixture.ts";
import { eddy } from "../support/eddy-cli.ts";
import { parseExposition, valueOf } from "../support/exposition.ts";
import { freePort } from "../support/free-port.ts";

const folder = mkdtempSync(join(tmpdir(), "eddy-services-"));
const at = (name: string) => join(folder, name);
const socket = at("eddy.sock");
let metricsUrl: string;
let replicator: ChildProcess;

beforeAll(async () => {
  const addr = `127.0.0.1:${await freePort()}`;
  metricsUrl = `http://${addr}/metrics`;
  createDatabase(at("app.db"));
  const config = at("litestream.yml");
  writeFileSync(
    config,
    `addr: "${addr}"
socket: { enabled: true, path: ${socket} }
dbs:
  - path: ${at("app.db")}
    replica: { url: file://${at("replica")} }
`,
  );
  replicator = spawn(
    process.execPath,
    ["replicator/cli.ts", "replicate", "--config", config, "--json"],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const started = Promise.withResolvers<void>();
  replicator.stdout?.on("data", (chunk: Buffer) => {
    if (chunk.includes('"event":"uploaded"')) started.resolve();
  });
  void once(replicator, "exit").then(() => started.reject(new Error("it ended")));
  await started.promise;
});
afterAll(async () => {
  if (replicator.exitCode === null) {
    replicator.kill("SIGTERM");
    await once(replicator, "exit");
  }
  rmSync(folder, { recursive: true });
});

async function ask(...args: string[]): Promise<unknown> {
  const { status, stdout, stderr } = await eddy([...args, "--json", "--socket", socket]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return JSON.parse(stdout);
}

describe("a replicator that is configured to be watched", () => {
  it("ships on demand, and shows it in its list and its metrics", async () => {
    const database = new DatabaseSync(at("app.db"));
    database.exec("INSERT INTO t (body) VALUES ('three')");
    const { txid } = (await ask("sync", at("app.db"), "--wait")) as { txid: number };
    database.close();
    expect(await ask("list")).toMatchObject({
      databases: [{ path: at("app.db"), status: "replicating", last_sync_at: expect.any(String) }],
    });
    const seen = parseExposition(await (await fetch(metricsUrl)).text());
    expect(valueOf(seen, "eddy_uploaded_txid", { db: at("app.db") })).toBe(txid);
    expect(valueOf(seen, "eddy_commit_to_store_seconds_count", { db: at("app.db") })).toBe(txid);
  });

  it("stages what is committed when it is not asked to wait", async () => {
    const database = new DatabaseSync(at("app.db"));
    database.exec("INSERT INTO t (body) VALUES ('four')");
    const before = (await ask("sync", at("app.db"))) as { txid: number };
    database.close();
    expect(await ask("sync", at("app.db"), "--wait")).toMatchObject({ txid: before.txid });
  });

  it("registers, stops, starts and unregisters databases", async () => {
    createDatabase(at("second.db"));
    const replica = `file://${at("second")}`;
    expect(await ask("register", at("second.db"), "--replica", replica)).toMatchObject({
      status: "registered",
    });
    expect(await ask("register", at("second.db"), "--replica", replica)).toMatchObject({
      status: "already_registered",
    });
    expect(await ask("stop", at("second.db"))).toMatchObject({ status: "stopped", txid: 1 });
    expect(await ask("start", at("second.db"))).toMatchObject({ status: "started", txid: 1 });
    expect(await ask("unregister", at("second.db"))).toMatchObject({
      status: "unregistered",
      final_txid: expect.any(Number),
    });
    const shared = await eddy([
      "register",
      at("second.db"),
      "--replica",
      `file://${at("replica")}`,
      "--socket",
      socket,
    ]);
    expect(shared).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("would share one replica"),
    });
    expect(await ask("info")).toMatchObject({ database_count: 1 });
  });

  it("shows the status of what is configured, and asks its replica", async () => {
    const args = ["status", "--config", at("litestream.yml"), "--json"];
    const { status, stdout } = await eddy([...args, "--remote"]);
    expect(status).toBe(0);
    const url = `file://${at("replica")}`;
    expect(JSON.parse(stdout)).toMatchObject([
      { database: at("app.db"), status: "ok", replica: { url, waiting: 0 } },
    ]);
    const local = await eddy([...args, at("app.db")]);
    expect(JSON.parse(local.stdout)[0]).not.toHaveProperty("replica");
    const other = await eddy([...args, at("other.db")]);
    expect(other).toMatchObject({ status: 2 });
  });

  it("leaves no socket when it ends", async () => {
    replicator.kill("SIGTERM");
    const [status] = await once(replicator, "exit");
    expect(status).toBe(0);
    expect(existsSync(socket)).toBe(false);
  });
});
