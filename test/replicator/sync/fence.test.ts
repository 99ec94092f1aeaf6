import { assert, asyncProperty, scheduler, type Scheduler } from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CLOCK_SLACK_MS, LEASE_MS } from "../../../replicator/sync/lease-document.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import type { ObjectStore } from "../../../shared/storage/object-store.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { contentOf } from "../../support/database-equality.ts";
import { countingStore, type CountingStore } from "../../support/counting-store.ts";
import { gatedStore } from "../../support/gated-store.ts";
import { createLiveDatabase, type LiveDatabase } from "../../support/live-database.ts";
import { putLtx, replicaIn } from "../../support/replica-fixtures.ts";
import {
  restoredContent,
  RunningReplication,
  storedTxids,
} from "../../support/running-replication.ts";

const afterExpiry = () => Date.now() + LEASE_MS + CLOCK_SLACK_MS;
const CONFLICT = { code: "WRITER_CONFLICT" };

let live: LiveDatabase;
let store: CountingStore;
let replica: Replica;
beforeEach(() => {
  live = createLiveDatabase();
  store = countingStore(new MemoryStore());
  replica = replicaIn(store);
});
afterEach(() => live[Symbol.dispose]());

function commit(database = live, body = "more"): void {
  database.exec(`INSERT INTO t (body) VALUES ('${body}')`);
}

/** Another's file at level 0, as a PUT that was on its way for long leaves it. */
function putStranger(minTxid: number): Promise<string> {
  return putLtx(store, { level: 0, minTxid, pages: { 1: 7 } });
}

describe("a file at level 0 that stands in the way of ours", () => {
  it("makes us adopt the store's position while the lease is ours, and nothing is lost", async () => {
    await using running = await RunningReplication.start({ databasePath: live.path, replica });
    await running.sync();
    await putStranger(2);
    commit();
    expect(await running.sync()).toBe(3n);
    expect(await running.until("adopted")).toMatchObject({
      txid: "0000000000000002",
      reason: expect.stringContaining("0000000000000002.ltx") as string,
    });
    expect(await storedTxids(replica)).toEqual([1n, 2n, 3n]);
    expect(await restoredContent(replica)).toEqual(contentOf(live.path));
    // And from there on with what changed.
    const since = running.events.length;
    commit();
    await running.sync();
    expect(await running.until("staged", since)).toMatchObject({ image: null });
    expect(await restoredContent(replica)).toEqual(contentOf(live.path));
  });

  it("is adopted by a single run too", async () => {
    const first = await RunningReplication.start({ databasePath: live.path, replica });
    await first.sync();
    await first.stop();
    await first[Symbol.asyncDispose]();
    commit();
    const late = gatedStore(store);
    const held = late.holdNext((key) => key.endsWith(".ltx"));
    const { Replication } = await import("../../../replicator/sync/sync-loop.ts");
    const once = await Replication.start({
      databasePath: live.path,
      replica: replicaIn(late),
    });
    const shipped = once.once(new AbortController().signal);
    await held.arrived;
    await putStranger(2);
    held.release();
    expect(await shipped).toEqual({ txid: 3n, uploaded: 3n, waiting: 0 });
    once.close();
    expect(await restoredContent(replica)).toEqual(contentOf(live.path));
  });

  it("counts as ours when it is the same: the answer to our PUT was lost", async () => {
    const stored = new MemoryStore();
    let isLost = true;
    const losing: ObjectStore = {
      list: (options) => stored.list(options),
      get: (key, options) => stored.get(key, options),
      put: async (key, body, options) => {
        // Carried out, and told as the repetition of a lost answer tells it.
        if (isLost && key.endsWith(".ltx")) await stored.put(key, body);
        isLost &&= !key.endsWith(".ltx");
        return await stored.put(key, body, options);
      },
      delete: (keys, options) => stored.delete(keys, options),
    };
    await using running = await RunningReplication.start({
      databasePath: live.path,
      replica: replicaIn(losing),
    });
    expect(await running.sync()).toBe(1n);
    expect(running.events.map(({ event }) => event)).not.toContain("adopted");
  });

  it("ends the replicator when it goes on like that: somebody writes without the lease", async () => {
    await using running = await RunningReplication.start({ databasePath: live.path, replica });
    await running.sync();
    for (const id of [2, 4, 6, 8]) {
      await putStranger(id);
      commit();
      if (id < 8) expect(await running.sync()).toBe(BigInt(id + 1));
    }
    await expect(running.ended()).rejects.toMatchObject(CONFLICT);
  });

  it("ends the replicator at once without a lease, and no lease is written", async () => {
    await using running = await RunningReplication.start({
      databasePath: live.path,
      replica,
      lease: false,
    });
    await running.sync();
    await putStranger(2);
    commit();
    await expect(running.ended()).rejects.toMatchObject({
      ...CONFLICT,
      message: expect.stringContaining("with other content") as string,
    });
    expect(await store.get("db/lock.json")).toBeUndefined();
  });
});

describe("an idle replicator", () => {
  it("asks nothing of the store, though its lease runs out, and goes on with the next commit", async () => {
    let nowMs = Date.now();
    const now = () => nowMs;
    await using running = await RunningReplication.start({ databasePath: live.path, replica, now });
    await running.sync();
    store.reset();
    nowMs += 10 * LEASE_MS;
    await running.sync();
    expect([store.lists, store.gets, store.puts, store.deletes]).toEqual([0, 0, 0, 0]);
    commit();
    await running.sync();
    // The lease and the file.
    expect([store.lists, store.gets, store.puts, store.deletes]).toEqual([0, 0, 2, 0]);
    commit();
    await running.sync();
    expect(store.puts).toBe(3);
  });
});

describe("a replicator that was paused until another had taken over", () => {
  it("stops when it wakes between its look at the lease and its PUT, and nothing of it is in the store", async () => {
    using other = createLiveDatabase();
    commit(live, "A");
    commit(other, "B");
    const gated = gatedStore(store);
    await using paused = await RunningReplication.start({
      databasePath: live.path,
      replica: replicaIn(gated),
    });
    await paused.sync();
    const held = gated.holdNext((key) => key.endsWith(".ltx"));
    commit(live, "A");
    await held.arrived;
    await using next = await RunningReplication.start({
      databasePath: other.path,
      replica,
      now: afterExpiry,
    });
    expect(await next.sync()).toBe(2n);
    held.release();
    await expect(paused.ended()).rejects.toMatchObject(CONFLICT);
    expect(await restoredContent(replica)).toEqual(contentOf(other.path));
  });

  it("mixes no histories, in whatever order the PUTs of the two arrive", async () => {
    await assert(asyncProperty(scheduler(), withTwoWriters), { numRuns: 8 });
  });
});

/** Each writes as if it was alone; which of their PUTs is carried out next is the scheduler's choice. */
async function withTwoWriters(order: Scheduler): Promise<void> {
  using ours = createLiveDatabase();
  using theirs = createLiveDatabase();
  commit(ours, "A");
  commit(theirs, "B");
  // At the clock of the two: a first image that seems old would be followed by a snapshot, and deleted.
  const bucket = new MemoryStore({ now: Date.now });
  let isScheduled = false;
  const scheduled: ObjectStore = {
    list: (options) => bucket.list(options),
    get: (key, options) => bucket.get(key, options),
    put: async (key, body, options) => {
      if (isScheduled) await order.schedule(Promise.resolve(), key);
      return await bucket.put(key, body, options);
    },
    delete: (keys, options) => bucket.delete(keys, options),
  };
  const place = replicaIn(scheduled);
  await using first = await RunningReplication.start({ databasePath: ours.path, replica: place });
  await first.sync();
  isScheduled = true;
  await using second = await RunningReplication.start({
    databasePath: theirs.path,
    replica: place,
    now: afterExpiry,
  });
  const write = async (running: RunningReplication, database: LiveDatabase, body: string) => {
    for (let i = 0; i < 3; i++) {
      commit(database, body);
      await running.sync();
    }
  };
  const writing = Promise.allSettled([write(first, ours, "A"), write(second, theirs, "B")]);
  await order.waitFor(writing);
  isScheduled = false;
  await second.sync();
  // The first has nothing more to say, whether it has noticed already or not.
  commit(ours, "A");
  await expect(first.ended()).rejects.toMatchObject(CONFLICT);
  expect(await restoredContent(place)).toEqual(contentOf(theirs.path));
  const txids = await storedTxids(place);
  expect(txids).toEqual(txids.map((_, index) => BigInt(index + 1)));
  for (const txid of txids) {
    const { integrity, tables } = await restoredContent(place, { kind: "txid", txid });
    const bodies = new Set((tables["t"] as [bigint, string][]).map(([, body]) => body));
    expect({ integrity, writers: bodies.size }).toEqual({ integrity: "ok", writers: 1 });
  }
}
