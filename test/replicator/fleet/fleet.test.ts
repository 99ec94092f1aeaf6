import { rmSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FileStore } from "../../../replicator/storage/file-store.ts";
import { formatLease } from "../../../replicator/sync/lease-document.ts";
import { FleetFixture } from "../../support/fleet-fixture.ts";

const NAMES = ["a", "b", "c", "d", "e"];
const never = new AbortController().signal;

function entry(name: string): string {
  return `  - {path: AT/${name}.db, replica: {path: AT/replicas/${name}}}\n`;
}

describe("Fleet.run", () => {
  it("replicates five databases side by side, each to its own place", async () => {
    await using fixture = new FleetFixture();
    const applications = NAMES.map((name) => fixture.open(`${name}.db`));
    await fixture.run(NAMES.map(entry).join(""));
    for (const [index, application] of applications.entries()) {
      application.exec(`INSERT INTO t VALUES ('row of ${NAMES[index]}')`);
    }
    for (const name of NAMES) {
      await fixture.sync(`${name}.db`);
      const { integrity, tables } = await fixture.restored(`replicas/${name}`);
      expect(integrity).toBe("ok");
      expect(tables["t"]).toEqual([[`row of ${name}`]]);
    }
    for (const database of fixture.fleet.databases()) {
      expect(database).toMatchObject({ status: "replicating", error: undefined });
      expect(database.replicaUrl).toMatch(/^file:\/\/.*\/replicas\/[a-e]$/);
    }
  });

  it("ships what is left when it is stopped", async () => {
    await using fixture = new FleetFixture();
    const application = fixture.open("a.db");
    await fixture.run(entry("a"));
    application.exec("INSERT INTO t VALUES ('last')");
    await fixture.stop();
    expect((await fixture.restored("replicas/a")).tables["t"]).toEqual([["last"]]);
    expect(fixture.fleet.find(fixture.at("a.db"))?.status).toBe("stopped");
  });

  it("says when all that is committed was last in the store, also of a quiet database", async () => {
    await using fixture = new FleetFixture();
    fixture.open("a.db").exec("INSERT INTO t VALUES (1)");
    await fixture.run(entry("a"));
    await fixture.sync("a.db");
    const database = fixture.fleet.find(fixture.at("a.db"));
    await expect.poll(() => database?.lastSyncAtMs ?? 0, { timeout: 20_000 }).toBeGreaterThan(0);
    const first = database?.lastSyncAtMs ?? 0;
    await expect
      .poll(() => database?.lastSyncAtMs ?? 0, { timeout: 20_000 })
      .toBeGreaterThan(first);
  });

  it("goes on with the others when one is broken, and takes it in when it is whole", async () => {
    await using fixture = new FleetFixture();
    writeFileSync(fixture.at("b.db"), "this is no database. ".repeat(300));
    const application = fixture.open("a.db");
    await fixture.run(entry("a") + entry("b"));
    await fixture.until("failure", "b.db", "not a SQLite database");
    expect(fixture.fleet.find(fixture.at("b.db"))).toMatchObject({
      status: "stopped",
      error: expect.stringContaining("not a SQLite database"),
    });
    application.exec("INSERT INTO t VALUES ('good')");
    await fixture.sync("a.db");
    expect((await fixture.restored("replicas/a")).tables["t"]).toEqual([["good"]]);
    rmSync(fixture.at("b.db"));
    fixture.open("b.db").exec("INSERT INTO t VALUES ('mended')");
    await fixture.until("uploaded", "b.db");
    await fixture.sync("b.db");
    expect((await fixture.restored("replicas/b")).tables["t"]).toEqual([["mended"]]);
    expect(fixture.fleet.find(fixture.at("b.db"))?.error).toBeUndefined();
  });

  it("takes up a database that was replaced by another file", async () => {
    await using fixture = new FleetFixture();
    fixture.open("a.db").close();
    await fixture.run(entry("a"));
    await fixture.sync("a.db");
    for (const suffix of ["", "-wal", "-shm"]) rmSync(fixture.at(`a.db${suffix}`), { force: true });
    fixture.open("a.db").exec("INSERT INTO t VALUES ('the new file')");
    await fixture.until("failure", "a.db", "was replaced or removed");
    await fixture.until("uploaded", "a.db", '"txid":"0000000000000002"');
    await fixture.sync("a.db");
    expect((await fixture.restored("replicas/a")).tables["t"]).toEqual([["the new file"]]);
  });

  it("does not take a path back that another replicator has taken over, until it is told to", async () => {
    await using fixture = new FleetFixture();
    const application = fixture.open("a.db");
    await fixture.run(entry("a"));
    await fixture.sync("a.db");
    const store = new FileStore(fixture.at("replicas/a"));
    const now = Date.now();
    // Long run out: whoever tried would get it.
    const lease = { generation: 9, expiresAtMs: now - 60_000, owner: "elsewhere:1" };
    await store.put("lock.json", formatLease(lease));
    const foreign = { metadata: { "litestream-timestamp": new Date(now).toISOString() } };
    await store.put("ltx/0/0000000000000002-0000000000000002.ltx", Uint8Array.of(1), foreign);
    application.exec("INSERT INTO t VALUES ('after')");
    await fixture.until("final failure", "a.db", "elsewhere:1");
    expect(fixture.fleet.find(fixture.at("a.db"))).toMatchObject({
      status: "stopped",
      isAlive: false,
    });
    await store.delete(["ltx/0/0000000000000002-0000000000000002.ltx"]);
    await fixture.fleet.start(fixture.at("a.db"), never);
    await fixture.sync("a.db");
    expect((await fixture.restored("replicas/a")).tables["t"]).toEqual([["after"]]);
  });

  it("waits for a database that is not there yet", async () => {
    await using fixture = new FleetFixture();
    await fixture.run(entry("a"));
    await fixture.until("notice", "", "is not there yet");
    fixture.open("a.db").exec("INSERT INTO t VALUES ('late')");
    await fixture.until("uploaded", "a.db");
    await fixture.sync("a.db");
    expect((await fixture.restored("replicas/a")).tables["t"]).toEqual([["late"]]);
  });
});

describe("Fleet.once", () => {
  it("ships all that can be shipped, and then says what could not", async () => {
    await using fixture = new FleetFixture();
    for (const name of ["a", "c"]) fixture.open(`${name}.db`).exec("INSERT INTO t VALUES (1)");
    const fleet = fixture.make(entry("a") + entry("b") + entry("c"));
    await expect(fleet.once(never)).rejects.toMatchObject({
      code: "SOURCE_INVALID",
      message: expect.stringContaining("b.db"),
    });
    for (const name of ["a", "c"]) {
      expect((await fixture.restored(`replicas/${name}`)).tables["t"]).toEqual([[1n]]);
    }
  });
});

describe("Fleet as what a control socket speaks to", () => {
  it("finds a database however its path is spelled", async () => {
    await using fixture = new FleetFixture();
    fixture.open("a.db");
    await fixture.run(entry("a"));
    const database = fixture.fleet.find(fixture.at("a.db"));
    expect(database?.path).toBe(fixture.at("a.db"));
    expect(fixture.fleet.find(`sqlite://${fixture.at("x/../a.db")}`)).toBe(database);
    expect(fixture.fleet.find(fixture.at("b.db"))).toBeUndefined();
  });

  it("tells whoever waits for a sync what ended it", async () => {
    await using fixture = new FleetFixture();
    fixture.open("a.db").exec("INSERT INTO t VALUES (1)");
    await fixture.run(entry("a"));
    await fixture.sync("a.db");
    const database = fixture.fleet.find(fixture.at("a.db"));
    rmSync(fixture.at("a.db"));
    await expect(database?.sync({ wait: true, signal: never })).rejects.toMatchObject({
      code: "SOURCE_INVALID",
      message: expect.stringContaining("was replaced or removed"),
    });
  });

  it("stops a database, lets go of its locks, and starts it again", async () => {
    await using fixture = new FleetFixture();
    const application = fixture.open("a.db");
    application.exec("INSERT INTO t VALUES (1)");
    await fixture.run(entry("a"));
    const path = fixture.at("a.db");
    const stopped = await fixture.fleet.stop(path, never);
    expect(stopped).toMatchObject({ status: "stopped", error: undefined });
    await expect(stopped.sync({ wait: true, signal: never })).rejects.toMatchObject({
      code: "SOURCE_INVALID",
      message: expect.stringContaining("it was stopped"),
    });
    expect(await fixture.fleet.stop(path, never)).toBe(stopped);
    // Nobody holds a read transaction any more, which would keep the log.
    expect({ ...application.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get() }).toMatchObject({
      busy: 0,
      log: 0,
    });
    application.exec("INSERT INTO t VALUES (2)");
    expect(await fixture.fleet.start(path, never)).toMatchObject({ status: "replicating" });
    expect(await fixture.fleet.start(path, never)).toBe(stopped);
    await fixture.sync("a.db");
    expect((await fixture.restored("replicas/a")).tables["t"]).toEqual([[1n], [2n]]);
  });

  it("registers and unregisters databases while it runs", async () => {
    await using fixture = new FleetFixture();
    fixture.open("a.db");
    fixture.open("b.db").exec("INSERT INTO t VALUES ('registered')");
    await fixture.run(entry("a"));
    const { fleet } = fixture;
    const path = fixture.at("b.db");
    const url = `file://${fixture.at("replicas/b")}`;
    expect(await fleet.register(path, url, never)).toMatchObject({ status: "replicating" });
    const answer = await fleet.find(path)?.sync({ wait: true, signal: never });
    expect(answer).toEqual({ txid: 1n, uploaded: 1n });
    await fleet.unregister(path, never);
    expect(fleet.find(path)).toBeUndefined();
    expect((await fixture.restored("replicas/b")).tables["t"]).toEqual([["registered"]]);
    await expect(fleet.stop(path, never)).rejects.toMatchObject({ code: "DB_NOT_FOUND" });
  });

  it.each([
    ["a database that is replicated already", "a.db", "replicas/x", "is replicated already"],
    ["a replica that is another's", "b.db", "replicas/a", "would share one replica"],
  ])("refuses to register %s", async (_name, database, replica, message) => {
    await using fixture = new FleetFixture();
    for (const name of ["a.db", "b.db"]) fixture.open(name);
    await fixture.run(entry("a"));
    const url = `file://${fixture.at(replica)}`;
    await expect(fixture.fleet.register(fixture.at(database), url, never)).rejects.toMatchObject({
      code: "BAD_CONFIG",
      message: expect.stringContaining(message),
    });
    expect(fixture.fleet.databases()).toHaveLength(1);
  });

  it("refuses at once to register a database that is not there", async () => {
    await using fixture = new FleetFixture();
    fixture.open("a.db");
    await fixture.run(entry("a"));
    const url = `file://${fixture.at("replicas/b")}`;
    const registering = fixture.fleet.register(fixture.at("b.db"), url, never);
    await expect(registering).rejects.toMatchObject({
      code: "SOURCE_INVALID",
      message: expect.stringContaining("there is no database at"),
    });
    expect(fixture.fleet.databases()).toHaveLength(1);
  });

  it("refuses at once to start a database that is not there, and goes on waiting for it", async () => {
    await using fixture = new FleetFixture();
    await fixture.run(entry("a"));
    await expect(fixture.fleet.start(fixture.at("a.db"), never)).rejects.toMatchObject({
      code: "SOURCE_INVALID",
    });
    fixture.open("a.db").exec("INSERT INTO t VALUES ('late')");
    await fixture.until("uploaded", "a.db");
  });

  it("forgets a database that could not be started when it was registered", async () => {
    await using fixture = new FleetFixture();
    fixture.open("a.db");
    writeFileSync(fixture.at("b.db"), "no database. ".repeat(300));
    await fixture.run(entry("a"));
    const url = `file://${fixture.at("replicas/b")}`;
    const registering = fixture.fleet.register(fixture.at("b.db"), url, never);
    await expect(registering).rejects.toMatchObject({ code: "SOURCE_INVALID" });
    expect(fixture.fleet.databases()).toHaveLength(1);
  });
});
