import { rmSync } from "node:fs";
import * as fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { ReplicaError } from "../../../shared/errors.ts";
import { formatTxid } from "../../../shared/ltx/txid.ts";
import {
  formatBasePrefix,
  formatHeadKey,
} from "../../../shared/replica/edge-bundle/bundle-keys.ts";
import { snapshotOf } from "../../../shared/replica/edge-bundle/read-bundle-head.ts";
import { formatLtxKey, type Replica } from "../../../shared/replica/ltx-key.ts";
import { PageCache } from "../../../shared/replica/page-cache.ts";
import { PageReader } from "../../../shared/replica/page-reader.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import type { ObjectStore } from "../../../shared/storage/object-store.ts";
import { openBundle } from "../../support/bundle-fixtures.ts";
import { countingStore, type CountingStore } from "../../support/counting-store.ts";
import { differingPages, imageNow } from "../../support/live-database.ts";
import { MaintenanceFixture } from "../../support/maintenance-fixture.ts";
import { replicaIn, txid } from "../../support/replica-fixtures.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const LARGE = "INSERT INTO t (body) VALUES (randomblob(4500000))";

let clock: { nowMs: number };
let memory: MemoryStore;
let store: CountingStore;
let replica: Replica;
beforeEach(() => {
  clock = { nowMs: Date.UTC(2026, 10, 26) };
  memory = new MemoryStore({ now: () => clock.nowMs });
  store = countingStore(memory);
  replica = replicaIn(store);
});

const start = (options: Parameters<typeof MaintenanceFixture.start>[2] = {}) =>
  MaintenanceFixture.start(replica, clock, {
    edgeBundle: true,
    levelIntervalsMs: [],
    retentionEnabled: false,
    snapshotIntervalMs: 100 * HOUR,
    ...options,
  });

/** The TXID that the head covers; undefined where there is none. */
async function covered(): Promise<number | undefined> {
  const isThere = await memory.get(formatHeadKey(replica));
  return isThere && Number((await openBundle(replica)).txid);
}

async function bases() {
  return (await memory.list({ prefix: formatBasePrefix(replica) })).objects;
}

/** Every page that the bundle leads to is the database's, and was verified. */
async function expectCovered(fixture: MaintenanceFixture): Promise<void> {
  const head = await openBundle(replica);
  expect(head.txid).toBe(fixture.capture.capture.txid);
  const reader = new PageReader(snapshotOf(replica, head), {
    cache: new PageCache({ bytesMax: 1_000_000 }),
  });
  const pages: Uint8Array[] = [];
  for (let pgno = 1; pgno <= reader.pageCount; pgno++) {
    await reader.load(pgno);
    pages.push(reader.resident(pgno)!);
  }
  const image = imageNow(fixture.capture.source);
  expect(differingPages(Buffer.concat(pages), image, reader.pageSize)).toEqual([]);
  expect(reader.stats.verified).toBe(true);
}

describe("the replicator's edge bundle", () => {
  it("covers what is newer when 11 files are, and when nothing more comes", async () => {
    using fixture = await start();
    await fixture.commit(1);
    await fixture.pass(15 * SECOND);
    expect(await covered()).toBeUndefined();
    await fixture.pass(10 * SECOND);
    expect(await covered()).toBe(1);
    await fixture.commit(10);
    await fixture.pass(5 * SECOND);
    expect(await covered()).toBe(1);
    await fixture.commit(1);
    await fixture.pass(5 * SECOND);
    expect(await covered()).toBe(12);
    await expectCovered(fixture);
  });

  it("covers a megabyte of small files, and a file over 4 MiB, at once", async () => {
    using fixture = await start();
    await fixture.commit(1, LARGE);
    await fixture.pass(SECOND);
    expect(await covered()).toBe(1);
    await fixture.commit(3, "INSERT INTO t (body) VALUES (randomblob(300000))");
    await fixture.pass(SECOND);
    expect(await covered()).toBe(1);
    await fixture.commit(1, "INSERT INTO t (body) VALUES (randomblob(300000))");
    await fixture.pass(SECOND);
    expect(await covered()).toBe(5);
    await expectCovered(fixture);
  });

  it("costs one PUT for 11 small files, and nothing while nothing is committed", async () => {
    using fixture = await start();
    await fixture.commit(12);
    await fixture.pass(MINUTE);
    store.reset();
    await fixture.commit(11);
    await fixture.pass(5 * SECOND);
    // One look whether the base is still there.
    expect(store).toMatchObject({ puts: 11 + 1, gets: 1, lists: 0, deletes: 0 });
    expect(await covered()).toBe(23);
    store.reset();
    await fixture.pass(24 * HOUR);
    expect(store).toMatchObject({ puts: 0, gets: 0, lists: 0, deletes: 0 });
  });

  it("reads from the store what is no longer on this machine", async () => {
    using fixture = await start();
    await fixture.commit(5);
    await fixture.pass(MINUTE);
    await fixture.commit(11);
    for (let n = 1; n <= 16; n++) rmSync(fixture.capture.staging.pathOf(txid(n)), { force: true });
    store.reset();
    await fixture.pass(5 * SECOND);
    // Beside single pages of older files.
    const newer = Array.from({ length: 11 }, (_, index) => txid(index + 6));
    const keys = newer.map((n) => formatLtxKey(replica, { level: 0, minTxid: n, maxTxid: n }));
    expect(keys.filter((key) => store.keysRead.includes(key))).toEqual(keys);
    await expectCovered(fixture);
  });

  it("goes on after a restart with the head that is there", async () => {
    using fixture = await start();
    await fixture.commit(30);
    await fixture.pass(MINUTE);
    const before = await openBundle(replica);
    fixture.restart();
    await fixture.commit(11);
    await fixture.pass(5 * SECOND);
    const after = await openBundle(replica);
    expect(formatTxid(after.txid)).toBe(formatTxid(txid(41)));
    expect(after.base.txid).toBe(before.base.txid);
    await expectCovered(fixture);
  });

  it("points elsewhere before a file is deleted that it names", async () => {
    const events: string[] = [];
    const watched: ObjectStore = {
      list: (options) => store.list(options),
      get: (key, options) => store.get(key, options),
      put(key, body, options) {
        if (key === formatHeadKey(replica)) events.push("head");
        return store.put(key, body, options);
      },
      delete(keys, options) {
        events.push(`delete ${keys.length}`);
        return store.delete(keys, options);
      },
    };
    replica = replicaIn(watched);
    using fixture = await start({
      levelIntervalsMs: [30 * SECOND],
      retentionEnabled: true,
      l0RetentionMs: 5 * MINUTE,
    });
    await fixture.commit(5);
    await fixture.pass(MINUTE);
    const named = (await openBundle(replica)).files;
    expect(named.some(({ level }) => level === 0)).toBe(true);
    events.length = 0;
    await fixture.pass(20 * MINUTE);
    expect(events[0]).toBe("head");
    expect(events.some((event) => event.startsWith("delete"))).toBe(true);
    for (const file of (await openBundle(replica)).files) {
      expect(await memory.get(formatLtxKey(replica, file))).toBeDefined();
    }
    await expectCovered(fixture);
  });

  it("is taken away before another history begins on its path", async () => {
    {
      using fixture = await start();
      await fixture.commit(3);
      await fixture.pass(MINUTE);
      expect(await covered()).toBe(3);
    }
    const listed = await memory.list({ prefix: "" });
    await memory.delete(listed.objects.map(({ key }) => key).filter((key) => key.endsWith(".ltx")));
    using fixture = await start();
    await fixture.commit(1);
    expect(await covered()).toBeUndefined();
    await fixture.pass(MINUTE);
    await expectCovered(fixture);
  });

  it("does not end the replication where it cannot be written, and is tried again", async () => {
    let isBroken = true;
    const broken: ObjectStore = {
      list: (options) => store.list(options),
      get: (key, options) => store.get(key, options),
      delete: (keys, options) => store.delete(keys, options),
      put: (key, body, options) => {
        const isHead = key === formatHeadKey(replica);
        if (isHead && isBroken) throw new ReplicaError("STORE_DENIED", "no");
        return store.put(key, body, options);
      },
    };
    replica = replicaIn(broken);
    using fixture = await start();
    await fixture.commit(12);
    await fixture.pass(30 * SECOND);
    expect(fixture.said("bundle-failed")).toEqual([
      { event: "bundle-failed", message: "no", retry_ms: MINUTE },
    ]);
    await fixture.commit(2);
    isBroken = false;
    await fixture.pass(2 * MINUTE);
    await expectCovered(fixture);
  });

  it("removes bases that no reader can hold any more", async () => {
    using fixture = await start();
    const written = new Set<string>();
    for (let round = 0; round < 4; round++) {
      await fixture.commit(1, LARGE);
      await fixture.pass(MINUTE);
      for (const { key } of await bases()) written.add(key);
    }
    expect(written.size).toBeGreaterThan(2);
    expect(await bases()).toHaveLength(2);
    await expectCovered(fixture);
  });

  it("leads to the database's pages whatever was written, merged and deleted", async () => {
    const aStep = fc.oneof(
      fc.record({ commits: fc.integer({ min: 1, max: 14 }) }),
      fc.record({ passMs: fc.integer({ min: 1, max: 40 }).map((n) => n * 10 * SECOND) }),
      fc.constantFrom(
        { sql: "DELETE FROM t WHERE rowid % 3 = 0" },
        { sql: "VACUUM" },
        { sql: "INSERT INTO t (body) SELECT randomblob(40000) FROM t LIMIT 20" },
        { sql: "CREATE TABLE IF NOT EXISTS u AS SELECT * FROM t" },
      ),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(aStep, { minLength: 3, maxLength: 12 }), async (steps) => {
        memory = new MemoryStore({ now: () => clock.nowMs });
        store = countingStore(memory);
        replica = replicaIn(store);
        using fixture = await start({
          levelIntervalsMs: [30 * SECOND, 2 * MINUTE],
          retentionEnabled: true,
          l0RetentionMs: 2 * MINUTE,
          snapshotIntervalMs: 5 * MINUTE,
          snapshotRetentionMs: 10 * MINUTE,
        });
        await fixture.commit(1);
        for (const step of steps) {
          if ("commits" in step) await fixture.commit(step.commits);
          else if ("passMs" in step) await fixture.pass(step.passMs);
          else await fixture.commit(1, step.sql);
        }
        await fixture.pass(MINUTE);
        await expectCovered(fixture);
      }),
      { numRuns: 25 },
    );
  });
});
