import { mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { contentOf } from "../../support/database-equality.ts";
import { createLiveDatabase, type LiveDatabase } from "../../support/live-database.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";
import {
  restoredContent,
  RunningReplication,
  storedTxids,
} from "../../support/running-replication.ts";
import { mountSmallDisk, type SmallDisk } from "../../support/small-disk.ts";

/** The staging directory is on a disk of its own, so that the application itself has room. */
let disk: SmallDisk;
let live: LiveDatabase;
let replica: Replica;
beforeEach(() => {
  disk = mountSmallDisk(2);
  live = createLiveDatabase();
  replica = replicaIn(new MemoryStore());
  mkdirSync(join(disk.folder, "staging"));
  symlinkSync(join(disk.folder, "staging"), join(live.folder, ".app.db-litestream"));
});
afterEach(() => {
  live[Symbol.dispose]();
  disk[Symbol.dispose]();
});

function commit(bytes = 50_000): void {
  // As text: two of them are compared faster than bytes are.
  live.exec(`INSERT INTO t (body) VALUES (hex(randomblob(${bytes / 2})))`);
}

async function expectWhole(): Promise<void> {
  const txids = await storedTxids(replica);
  expect(txids).toEqual(txids.map((_, index) => BigInt(index + 1)));
  expect(await restoredContent(replica)).toEqual(contentOf(live.path));
}

describe("a full disk", () => {
  it("pauses the replicator, which says so, and goes on when there is room", async () => {
    await using running = await RunningReplication.start({ databasePath: live.path, replica });
    await running.sync();
    disk.fill();
    commit();
    const synced = running.sync();
    expect(await running.until("disk-full")).toMatchObject({
      message: expect.stringContaining("the disk is full") as string,
      retry_ms: 500,
    });
    for (let i = 0; i < 5; i++) commit();
    const again = running.events.length;
    expect((await running.until("disk-full", again)).retry_ms).toBeGreaterThan(500);
    const level = join(disk.folder, "staging/ltx/0");
    expect(readdirSync(level).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    disk.free();
    await synced;
    expect((await running.until("resumed")).paused_ms).toBeGreaterThan(0);
    await expectWhole();
    commit();
    await running.sync();
    await expectWhole();
  });

  it("loses nothing of what a checkpoint holds in memory when it cannot be staged", async () => {
    await using running = await RunningReplication.start({ databasePath: live.path, replica });
    await running.sync();
    disk.fill();
    // From 1,000 pages on the log is checkpointed.
    for (let i = 0; i < 12; i++) commit();
    await running.until("disk-full");
    disk.free();
    await running.sync();
    commit(10);
    await running.sync();
    await expectWhole();
  });

  it("is not kept full by files that are in the store already", async () => {
    await using running = await RunningReplication.start({ databasePath: live.path, replica });
    // Together more than the disk holds, and less than is kept of them where there is room.
    for (let i = 0; i < 10; i++) {
      commit(400_000);
      await running.sync();
    }
    expect(running.events.map(({ event }) => event)).toContain("disk-full");
    await expectWhole();
  });

  it("keeps no upload from being made: the lease is written without its record", async () => {
    let nowMs = Date.now();
    const now = () => nowMs;
    await using running = await RunningReplication.start({ databasePath: live.path, replica, now });
    await running.sync();
    // Room for the file, and none for what is written after it.
    nowMs += 60_000;
    disk.fill(4_096);
    const record = readFileSync(join(disk.folder, "staging/eddy.lease"), "utf8");
    commit(10);
    await running.sync();
    expect(readFileSync(join(disk.folder, "staging/eddy.lease"), "utf8")).toBe(record);
    await expectWhole();
  });

  it("ends a single run with a sentence, and the next one ships what is there", async () => {
    const { Replication } = await import("../../../replicator/sync/sync-loop.ts");
    const options = { databasePath: live.path, replica };
    const signal = new AbortController().signal;
    const full = await Replication.start(options);
    disk.fill();
    await expect(full.once(signal)).rejects.toMatchObject({
      code: "LOCAL_FILE",
      message: expect.stringContaining("the disk is full") as string,
    });
    full.close();
    disk.free();
    const next = await Replication.start(options);
    expect(await next.once(signal)).toMatchObject({ uploaded: 1n, waiting: 0 });
    next.close();
    await expectWhole();
  });
});

describe("a full disk under the database", () => {
  it("keeps the log from being checkpointed, which is waited for, and nothing is lost", async () => {
    const path = join(disk.folder, "app.db");
    using app = new DatabaseSync(path);
    app.exec("PRAGMA page_size = 512; PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0");
    app.exec("CREATE TABLE t (body)");
    // Together more than the 1,000 pages from which on the log is checkpointed.
    for (let i = 0; i < 12; i++) app.exec("INSERT INTO t VALUES (hex(randomblob(25000)))");
    disk.fill();
    const stagingFolder = join(live.folder, "staging");
    const options = { databasePath: path, stagingFolder, replica };
    await using running = await RunningReplication.start(options);
    expect(await running.until("disk-full")).toMatchObject({
      message: expect.stringMatching(/could not be copied .*: the disk is full/) as string,
    });
    disk.free();
    await running.until("resumed");
    app.exec("INSERT INTO t VALUES ('after')");
    await running.sync();
    expect(await restoredContent(replica)).toEqual(contentOf(path));
  });
});
