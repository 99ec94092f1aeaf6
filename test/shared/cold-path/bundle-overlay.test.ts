/** A snapshot out of an edge bundle and the files that are newer, beside the page map of all files. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatBaseKey } from "../../../shared/replica/edge-bundle/bundle-keys.ts";
import { updateBundle } from "../../../shared/replica/edge-bundle/update-bundle.ts";
import { storeSink } from "../../../shared/replica/edge-bundle/bundle-sink.ts";
import { snapshotOf } from "../../../shared/replica/edge-bundle/read-bundle-head.ts";
import { loadPlan } from "../../../shared/replica/load-plan.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { PageCache } from "../../../shared/replica/page-cache.ts";
import { PageReader } from "../../../shared/replica/page-reader.ts";
import { streamDatabase } from "../../../shared/replica/page-stream.ts";
import {
  extendSnapshot,
  isVerifiable,
  openPlan,
  type Snapshot,
} from "../../../shared/replica/snapshot.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { bundledReplica, openBundle, rowsSql } from "../../support/bundle-fixtures.ts";
import { countingStore } from "../../support/counting-store.ts";
import { makeDatabaseImages } from "../../support/database-images.ts";
import { imageAt, type Images } from "../../support/ltx-from-images.ts";
import { concatBytes, sameBytes } from "../../support/ltx-fixtures.ts";
import { putSpans } from "../../support/ltx-spans.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const LATEST = { kind: "latest" } as const;

/** SQL that lets a database grow, shrink and change here and there. */
const aTransaction = fc.oneof(
  fc
    .record({ from: fc.integer({ min: 1, max: 3_000 }), rows: fc.integer({ min: 1, max: 600 }) })
    .map(
      ({ from, rows }) => `WITH RECURSIVE c (i) AS (SELECT ${from} UNION ALL
          SELECT i + 1 FROM c WHERE i < ${from + rows})
        INSERT OR REPLACE INTO a SELECT i, 'k' || (i * 7 % 501), hex(i) || ' again' FROM c`,
    ),
  fc
    .record({ every: fc.integer({ min: 2, max: 300 }) })
    .map(({ every }) => `UPDATE a SET v = v || 'x' WHERE id % ${every} = 0`),
  fc
    .record({ above: fc.integer({ min: 0, max: 2_000 }) })
    .map(({ above }) => `DELETE FROM a WHERE id > ${above}; COMMIT; VACUUM; BEGIN`),
  fc.constant("INSERT INTO b (v) VALUES (zeroblob(20000))"),
  fc.constant("DELETE FROM b; COMMIT; VACUUM; BEGIN"),
);

const FIRST = `${rowsSql("a", 1_500)} CREATE TABLE b (id INTEGER PRIMARY KEY, v BLOB);`;

/** Level-0 files of some transactions. */
async function putTransactions(replica: Replica, images: Images, from: number, to: number) {
  const spans = Array.from({ length: to - from + 1 }, (_, n) => [0, from + n, from + n] as const);
  await putSpans(replica, images, spans);
}

/** Opens the newest state by the replica's bundle and what is newer. */
async function openByBundle(replica: Replica, cache?: PageCache): Promise<Snapshot> {
  const head = await openBundle(replica);
  const base = snapshotOf(replica, head);
  const { files } = await loadPlan(replica, LATEST);
  const newer = files.filter(({ minTxid }) => minTxid > base.txid);
  return extendSnapshot(base, newer, { cache });
}

async function expectImage(snapshot: Snapshot, image: Uint8Array, cache: PageCache) {
  const { pageSize } = snapshot;
  // Whatever is newer than the bundle is small, and was read whole.
  expect(isVerifiable(snapshot)).toBe(true);
  expect(snapshot.commit * pageSize).toBe(image.length);
  const reader = new PageReader(snapshot, { cache });
  for (let pgno = snapshot.commit; pgno >= 1; pgno--) {
    if (!reader.resident(pgno)) await reader.load(pgno);
    const page = image.subarray((pgno - 1) * pageSize, pgno * pageSize);
    expect(sameBytes(reader.resident(pgno)!, page)).toBe(true);
  }
  expect(reader.stats.verified).toBe(true);
}

test("through a bundle and what is newer, every page is as all files have it, and verified", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(aTransaction, { minLength: 1, maxLength: 6 }),
      fc.nat(),
      fc.constantFrom(512, 1_024, 4_096),
      fc.constantFrom(10, 50_000_000),
      async (transactions, cut, pageSize, cacheBytes) => {
        const images = makeDatabaseImages({ pageSize, transactions: [FIRST, ...transactions] });
        const count = images.versions.length;
        const bundled = 1 + (cut % count);
        const replica = replicaIn(new MemoryStore());
        await putTransactions(replica, images, 1, bundled);
        await updateBundle(replica, storeSink(replica));
        await putTransactions(replica, images, bundled + 1, count);
        const cache = new PageCache({ bytesMax: cacheBytes });
        const snapshot = await openByBundle(replica, cache);
        const image = imageAt(images, count);
        await expectImage(snapshot, image, cache);
        const plan = await loadPlan(replica, LATEST);
        const {
          pages: _pages,
          plan: _plan,
          files: _files,
          doubtfulFiles: _doubtfulFiles,
          ...whole
        } = await openPlan(replica, plan);
        expect(snapshot).toMatchObject(whole);
        const streamed = concatBytes(await Array.fromAsync(streamDatabase(snapshot)));
        expect(sameBytes(streamed, image)).toBe(true);
      },
    ),
    { numRuns: 25 },
  );
});

/** A bundle with little in its head, of which another is made since. */
async function staleBundle() {
  const memory = new MemoryStore();
  const transactions = [rowsSql("a", 4_000), "UPDATE a SET v = 'y' WHERE id % 5 = 0"];
  const script = { pageSize: 512, transactions };
  const { replica, images } = await bundledReplica(script, { store: memory, hotBytesMax: 2_048 });
  const store = countingStore(memory);
  const counted = replicaIn(store);
  const head = await openBundle(counted);
  await memory.delete([formatBaseKey(replica, head.content.base)]);
  store.reset();
  return { memory, store, replica: counted, head, image: imageAt(images, 2) };
}

function reopenTheSame(snapshot: Snapshot): Promise<Snapshot> {
  return Promise.resolve(snapshot);
}

describe("a bundle whose base has gone", () => {
  test("is named, so that the caller can read the head again, once", async () => {
    const { memory, store, replica, head, image } = await staleBundle();
    const cache = new PageCache({ bytesMax: 10_000_000 });
    let reopened = 0;
    const reader = new PageReader(snapshotOf(replica, head), {
      cache,
      reopen: async (snapshot) => {
        reopened++;
        expect(snapshot.pages).toBe(head.locator);
        await updateBundle(replicaIn(memory), storeSink(replicaIn(memory)), {
          hotBytesMax: 4_096,
          fromScratch: true,
        });
        return snapshotOf(replica, await openBundle(replica));
      },
    });
    const pgnos = Array.from({ length: head.commit }, (_, n) => n + 1);
    for (const pgno of pgnos) {
      if (!reader.resident(pgno)) await reader.load(pgno);
      const page = image.subarray((pgno - 1) * 512, pgno * 512);
      expect(sameBytes(reader.resident(pgno)!, page)).toBe(true);
    }
    expect(reopened).toBe(1);
    expect(store.lists).toBe(0);
    expect(reader.stats.verified).toBe(true);
  });

  test("and stays away is OBJECT_MISSING, naming it", async () => {
    const { replica, head } = await staleBundle();
    const cache = new PageCache({ bytesMax: 10_000_000 });
    const reader = new PageReader(snapshotOf(replica, head), { cache, reopen: reopenTheSame });
    await expect(reader.load(head.commit)).rejects.toMatchObject({
      code: "OBJECT_MISSING",
      message: expect.stringContaining(formatBaseKey(replica, head.content.base)),
    });
  });

  test("is done without where the caller says nothing: the answer is not verified then", async () => {
    const { store, replica, head, image } = await staleBundle();
    const cache = new PageCache({ bytesMax: 10_000_000 });
    const reader = new PageReader(snapshotOf(replica, head), { cache });
    const pgno = head.commit;
    await reader.load(pgno);
    expect(sameBytes(reader.resident(pgno)!, image.subarray((pgno - 1) * 512, pgno * 512))).toBe(
      true,
    );
    expect(store.lists).toBe(1);
  });
});
