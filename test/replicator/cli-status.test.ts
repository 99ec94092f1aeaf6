import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createCliFixture,
  createDatabase,
  rowsOf,
  type CliFixture,
} from "../support/cli-fixture.ts";
import { ControlFixture } from "../support/control-fixture.ts";
import { eddy } from "../support/eddy-cli.ts";

let fixture: CliFixture;
let at: CliFixture["at"];
beforeAll(async () => {
  fixture = await createCliFixture();
  ({ at } = fixture);
});
afterAll(() => fixture.remove());

async function statusOf(...args: string[]): Promise<unknown> {
  const { stdout, stderr } = await eddy(["status", "--json", ...args]);
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

describe("eddy status", () => {
  it("tells a replicated database from one that is not, and from none", async () => {
    createDatabase(at("fresh.db"));
    writeFileSync(at("empty.db"), "");
    writeFileSync(at("text.db"), "hello, world. ".repeat(500));
    const names = ["app.db", "fresh.db", "empty.db", "none.db", "text.db"];
    expect(await statusOf(...names.map((name) => at(name)))).toEqual([
      {
        database: at("app.db"),
        status: "ok",
        local_txid: "0000000000000002",
        wal_size: expect.stringMatching(/^[\d.]+ k?B$/),
        wal_size_bytes: statSync(`${at("app.db")}-wal`, { throwIfNoEntry: false })?.size ?? 0,
      },
      {
        database: at("fresh.db"),
        status: "not initialized",
        local_txid: "-",
        wal_size: "0 B",
        wal_size_bytes: 0,
      },
      {
        database: at("empty.db"),
        status: "not initialized",
        local_txid: "-",
        wal_size: "0 B",
        wal_size_bytes: 0,
      },
      {
        database: at("none.db"),
        status: "no database",
        local_txid: "-",
        wal_size: "-",
        wal_size_bytes: null,
      },
      {
        database: at("text.db"),
        status: "error",
        local_txid: "-",
        wal_size: "-",
        wal_size_bytes: null,
        error: expect.stringContaining("not a SQLite database"),
      },
    ]);
  });

  it("asks a replica how far it is, and names what waits", async () => {
    const replica = { url: fixture.replicaUrl, txid: "0000000000000002" };
    const args = [at("app.db"), "--replica", fixture.replicaUrl];
    expect(await statusOf(...args)).toMatchObject([
      { local_txid: "0000000000000002", replica: { ...replica, waiting: 0, lag_seconds: 0 } },
    ]);
    // A third TXID that is staged and not in the store.
    const staging = at(".app.db-litestream/ltx/0");
    const third = join(staging, "0000000000000003-0000000000000003.ltx");
    copyFileSync(join(staging, "0000000000000002-0000000000000002.ltx"), third);
    const [behind] = (await statusOf(...args)) as { replica: { lag_seconds: number } }[];
    expect(behind).toMatchObject({ replica: { ...replica, waiting: 1 } });
    expect(behind.replica.lag_seconds).toBeGreaterThan(0);
    rmSync(third);
  });

  it("shows who writes a replica, where its writer says so", async () => {
    const status = { writer: "host:1", at: "2026-11-26T10:00:00.000Z", txid: null, retention: {} };
    mkdirSync(at("replica/eddy"), { recursive: true });
    writeFileSync(at("replica/eddy/status.json"), JSON.stringify(status));
    expect(await statusOf(at("app.db"), "--replica", fixture.replicaUrl)).toMatchObject([
      { replica: { writer: "host:1", writer_at: "2026-11-26T10:00:00.000Z" } },
    ]);
    rmSync(at("replica/eddy"), { recursive: true });
  });

  it("shows a table to people", async () => {
    const { status, stdout } = await eddy([
      "status",
      at("app.db"),
      "--replica",
      fixture.replicaUrl,
    ]);
    expect(status).toBe(0);
    const [head, row, replica] = stdout.split("\n");
    expect(head).toMatch(/^database +status +local txid +wal size$/);
    expect(row).toMatch(/app\.db +ok +0000000000000002 /);
    expect(replica).toContain("all that is staged is there");
  });

  it("leaves a database that is being replicated alone", async () => {
    await using running = await ControlFixture.start();
    const path = running.at("app.db");
    const never = new AbortController().signal;
    await running.target.find(path)!.sync({ wait: true, signal: never });
    const before = readdirSync(running.folder, { recursive: true });
    expect(await statusOf(path)).toMatchObject([{ status: "ok" }]);
    expect(readdirSync(running.folder, { recursive: true })).toEqual(before);
    running.app.exec("INSERT INTO t (body) VALUES ('after')");
    const { uploaded } = await running.target.find(path)!.sync({ wait: true, signal: never });
    expect(uploaded).toBeGreaterThan(1n);
  });

  it("refuses one replica for two databases", async () => {
    const args = ["status", at("app.db"), at("fresh.db"), "--replica", fixture.replicaUrl];
    const { status, stderr } = await eddy(args);
    expect(stderr).toContain("--replica is of one database");
    expect(status).toBe(2);
  });
});

describe("eddy reset", () => {
  let folder: string;
  let path: string;
  let url: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "eddy-reset-"));
    path = join(folder, "app.db");
    url = `file://${join(folder, "replica")}`;
    createDatabase(path);
    expect(await eddy(["replicate", path, url, "--once"])).toMatchObject({ status: 0 });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("shows what it would remove, and removes nothing", async () => {
    const file = join(folder, ".app.db-litestream/ltx/0/0000000000000001-0000000000000001.ltx");
    const { status, stdout } = await eddy(["reset", path, "-dry-run", "--json"]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      db_path: path,
      dry_run: true,
      removed: join(folder, ".app.db-litestream/ltx"),
      files: [file],
    });
    expect(existsSync(file)).toBe(true);
  });

  it("is refused while a replicator works on the database", async () => {
    await using running = await ControlFixture.start();
    const { status, stderr } = await eddy(["reset", running.at("app.db")]);
    expect(stderr).toContain(`another replicator (process ${process.pid})`);
    expect(status).toBe(5);
    expect(existsSync(running.at(".app.db-litestream/ltx/0"))).toBe(true);
  });

  it("lets the next start go on after the store, whatever was staged", async () => {
    const staged = join(folder, ".app.db-litestream/ltx/0/0000000000000001-0000000000000001.ltx");
    truncateSync(staged, 50);
    const database = new DatabaseSync(path);
    database.exec("INSERT INTO t (body) VALUES ('three')");
    database.close();
    const { status, stdout } = await eddy(["reset", path]);
    expect(stdout).toContain("ships the whole database as the next TXID");
    expect(status).toBe(0);
    expect(existsSync(join(folder, ".app.db-litestream/ltx"))).toBe(false);
    expect(await eddy(["replicate", path, url, "--once"])).toMatchObject({ status: 0 });
    expect(readdirSync(join(folder, "replica/ltx/0"))).toHaveLength(2);
    const output = join(folder, "restored.db");
    expect(await eddy(["restore", url, "-o", output])).toMatchObject({ status: 0 });
    expect(rowsOf(output)).toEqual(rowsOf(path));
  });

  it("does nothing, successfully, where nothing is staged", async () => {
    mkdirSync(join(folder, "quiet"));
    const { status, stdout } = await eddy(["reset", join(folder, "quiet/app.db")]);
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: expect.stringContaining("nothing to do"),
    });
    expect(readdirSync(join(folder, "quiet"))).toEqual([]);
  });
});

describe("eddy version", () => {
  it("prints package.json's, and with --verbose what it runs on", async () => {
    const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
    expect(await eddy(["version"])).toMatchObject({ status: 0, stdout: `${version}\n` });
    const { stdout } = await eddy(["version", "-verbose", "--json"]);
    const { node, sqlite } = process.versions;
    expect(JSON.parse(stdout)).toMatchObject({ version, node, sqlite });
  });
});
