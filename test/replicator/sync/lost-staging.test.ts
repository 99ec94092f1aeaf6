import { existsSync, readdirSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ProcessLock } from "../../../replicator/source/process-lock.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { ReplicaError } from "../../../shared/errors.ts";
import { contentOf } from "../../support/database-equality.ts";
import { gatedStore, type GatedStore } from "../../support/gated-store.ts";
import { createLiveDatabase, type LiveDatabase } from "../../support/live-database.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";
import {
  restoredContent,
  RunningReplication,
  storedTxids,
} from "../../support/running-replication.ts";

const isLtx = (key: string) => key.endsWith(".ltx");

let live: LiveDatabase;
let store: GatedStore;
let replica: Replica;
let staging: string;
let running: RunningReplication;
beforeEach(async () => {
  live = createLiveDatabase();
  store = gatedStore(new MemoryStore());
  replica = replicaIn(store);
  staging = join(live.folder, ".app.db-litestream");
  commit();
  running = await RunningReplication.start({ databasePath: live.path, replica });
  await running.sync();
});
afterEach(async () => {
  await running[Symbol.asyncDispose]();
  live[Symbol.dispose]();
});

function commit(): void {
  live.exec("INSERT INTO t (body) VALUES (randomblob(700))");
}

async function expectWhole(): Promise<void> {
  const txids = await storedTxids(replica);
  expect(txids).toEqual(txids.map((_, index) => BigInt(index + 1)));
  expect(await restoredContent(replica)).toEqual(contentOf(live.path));
}

describe("a staging directory that is removed while the replicator runs", () => {
  it("is made anew, and the database shipped whole after the store's newest TXID", async () => {
    const uploaded = await running.sync();
    rmSync(staging, { recursive: true });
    commit();
    expect(await running.sync()).toBe(uploaded! + 1n);
    expect(await running.until("adopted")).toMatchObject({
      reason: "the staging directory was removed",
    });
    await expectWhole();
    // A snapshot may be under way.
    const staged = readdirSync(join(staging, "ltx/0")).filter((name) => name.endsWith(".ltx"));
    expect(staged).toEqual(["0000000000000002-0000000000000002.ltx"]);
    for (const name of ["eddy.lock", "eddy.lease"]) {
      expect(existsSync(join(staging, name))).toBe(true);
    }
  });

  it("is locked again, so that no second replicator begins to work on it", async () => {
    rmSync(staging, { recursive: true });
    commit();
    await running.sync();
    expect(() => ProcessLock.take(staging)).toThrow(
      expect.objectContaining({ code: "WRITER_CONFLICT" }),
    );
  });

  it("ends the replicator when another one was faster to lock it", async () => {
    rmSync(staging, { recursive: true });
    const { Staging } = await import("../../../replicator/sync/staging.ts");
    await Staging.open(live.path);
    const other = ProcessLock.take(staging);
    commit();
    await expect(running.ended()).rejects.toMatchObject({ code: "WRITER_CONFLICT" });
    other.release();
  });

  it("loses nothing that waited in it for the store", async () => {
    const held = store.holdNext(isLtx);
    commit();
    await held.arrived;
    for (let i = 0; i < 3; i++) {
      const since = running.events.length;
      commit();
      await running.until("staged", since);
    }
    rmSync(staging, { recursive: true });
    commit();
    const synced = running.sync();
    held.release();
    // The one that was under way, and one that holds all the rest.
    expect(await synced).toBe(3n);
    await expectWhole();
  });

  it("is made anew also when it goes while a file is written to it", async () => {
    const level = join(staging, "ltx/0");
    const removed = Promise.withResolvers<void>();
    const watcher = watch(level, (_, name) => {
      if (!name?.endsWith(".tmp") || !existsSync(join(level, name))) return;
      watcher.close();
      rmSync(staging, { recursive: true });
      removed.resolve();
    });
    // As text: two of them are compared faster than bytes are.
    live.exec("INSERT INTO t (body) VALUES (hex(randomblob(5000000)))");
    await removed.promise;
    await running.sync();
    expect(await running.until("adopted")).toMatchObject({
      reason: "the staging directory was removed",
    });
    await expectWhole();
  });

  it("is a matter of the next start when the replicator ends before the next commit", async () => {
    rmSync(staging, { recursive: true });
    await running.stop();
    await running[Symbol.asyncDispose]();
    commit();
    running = await RunningReplication.start({ databasePath: live.path, replica });
    await running.sync();
    await expectWhole();
  });
});

describe("a staged file that is lost before its upload", () => {
  it.each([
    ["removed", (path: string) => rmSync(path), "was removed"],
    [
      "damaged",
      (path: string) =>
        writeFileSync(path, Buffer.concat([Buffer.alloc(100), readFileSync(path).subarray(100)])),
      "is damaged",
    ],
    ["cut off", (path: string) => writeFileSync(path, ""), "is damaged"],
  ])("is replaced by the whole database when it is %s", async (_name, harm, reason) => {
    const held = store.holdNext(isLtx);
    commit();
    await held.arrived;
    const since = running.events.length;
    commit();
    const { txid } = await running.until("staged", since);
    harm(join(staging, `ltx/0/${txid}-${txid}.ltx`));
    held.release();
    await running.until("adopted");
    await running.sync();
    expect(await running.until("adopted")).toMatchObject({
      reason: expect.stringContaining(reason) as string,
    });
    await expectWhole();
  });

  it("waits for the store to say where to go on, and goes on then", async () => {
    let isAway = false;
    const away: Replica = replicaIn({
      ...store,
      list: async (options) => {
        if (isAway) throw new ReplicaError("R2_ERROR", "the store is away");
        return await store.list(options);
      },
    });
    await running[Symbol.asyncDispose]();
    running = await RunningReplication.start({ databasePath: live.path, replica: away });
    isAway = true;
    rmSync(staging, { recursive: true });
    commit();
    const synced = running.sync();
    expect(await running.until("store-unavailable")).toMatchObject({
      message: "the store is away",
    });
    isAway = false;
    await synced;
    await expectWhole();
  });
});
