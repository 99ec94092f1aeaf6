import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { IndexWindows } from "../../../shared/replica/index-windows.ts";
import { LayeredPages } from "../../../shared/replica/layered-pages.ts";
import { loadPlan } from "../../../shared/replica/load-plan.ts";
import { locateFiles } from "../../../shared/replica/locate-files.ts";
import { locatePages } from "../../../shared/replica/locate-pages.ts";
import { openLtxFile, type LtxFile } from "../../../shared/replica/ltx-file.ts";
import type { PageLocation } from "../../../shared/replica/page-locator.ts";
import { PageMap } from "../../../shared/replica/page-map.ts";
import { streamDatabase } from "../../../shared/replica/page-stream.ts";
import { extendSnapshot, openPlan } from "../../../shared/replica/snapshot.ts";
import { SparsePageMap } from "../../../shared/replica/sparse-page-map.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { countingStore } from "../../support/counting-store.ts";
import { GeneratedLtx, generatedStore } from "../../support/generated-ltx.ts";
import { concatBytes, sameBytes } from "../../support/ltx-fixtures.ts";
import { PageHistory, type Transaction } from "../../support/page-history.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const LATEST = { kind: "latest" } as const;
const PAGES_MAX = 40;

/** The database grows and shrinks; its transactions are files of level 0 behind a snapshot. */
const aHistory = fc.array(
  fc.record({
    commit: fc.integer({ min: 1, max: PAGES_MAX }),
    changed: fc.uniqueArray(fc.integer({ min: 1, max: PAGES_MAX }), { maxLength: 6 }),
  }) satisfies fc.Arbitrary<Transaction>,
  { minLength: 2, maxLength: 9 },
);

async function putAll(transactions: readonly Transaction[]) {
  const history = new PageHistory();
  for (const transaction of transactions) history.commit(transaction);
  const replica = replicaIn(new MemoryStore());
  await history.put(replica, 9, 1);
  for (let n = 2; n <= history.head; n++) await history.put(replica, 0, n);
  return { history, replica };
}

/** A file as if its index were too long to be read whole. */
function withoutIndex(file: LtxFile): LtxFile {
  return { ...file, index: undefined, checksums: undefined };
}

function withoutChecksum(location: PageLocation | null) {
  return location && { file: location.file, offset: location.offset, size: location.size };
}

test("layers of maps and lazy indexes know what one map of all pages knows", async () => {
  await fc.assert(
    fc.asyncProperty(
      aHistory,
      fc.infiniteStream(fc.boolean()),
      fc.nat(),
      async (transactions, isLazy, cut) => {
        const { replica } = await putAll(transactions);
        const { files: infos } = await loadPlan(replica, LATEST);
        const files = await Promise.all(infos.map((info) => openLtxFile(replica, info)));
        const { commit } = files.at(-1)!.header;
        const whole = locateFiles(files, { commit, windows: new IndexWindows({ bytesMax: 0 }) });
        expect(whole).toBeInstanceOf(PageMap);
        const some = files.map((file) => (isLazy.next().value ? withoutIndex(file) : file));
        for (const bytesMax of [0, 1_000_000]) {
          const windows = new IndexWindows({ bytesMax });
          const firstFile = 1 + (cut % (files.length - 1));
          const older = locateFiles(some.slice(0, firstFile), {
            commit: files[firstFile - 1].header.commit,
            windows,
          });
          const newer = { commit, windows, firstFile, older };
          const layers = [
            locateFiles(some, { commit, windows }),
            locateFiles(some.slice(firstFile), newer),
          ];
          for (const layered of layers) {
            for (let pgno = commit + 3; pgno >= 1; pgno--) {
              const expected = withoutChecksum(whole.get(pgno)!);
              const { location } = await layered.find(pgno, { replica });
              expect(withoutChecksum(location)).toEqual(expected);
              const known = layered.get(pgno);
              if (known !== undefined) expect(withoutChecksum(known)).toEqual(expected);
              else expect(bytesMax).toBe(0);
            }
          }
        }
      },
    ),
    { numRuns: 60 },
  );
});

test("a snapshot that is extended by newer files reads like one that was opened with them", async () => {
  await fc.assert(
    fc.asyncProperty(aHistory, fc.nat(), async (transactions, cut) => {
      const { history, replica } = await putAll(transactions);
      const plan = await loadPlan(replica, LATEST);
      const count = 1 + (cut % (plan.files.length - 1));
      const [older, newer] = [plan.files.slice(0, count), plan.files.slice(count)];
      const base = await openPlan(replica, { ...plan, files: older, txid: older.at(-1)!.maxTxid });
      const extended = await extendSnapshot(base, newer);
      const { pages: _, ...whole } = await openPlan(replica, plan);
      expect(extended).toMatchObject(whole);
      const image = concatBytes(await Array.fromAsync(streamDatabase(extended)));
      expect(sameBytes(image, history.image(history.head))).toBe(true);
      expect(await extendSnapshot(extended, [])).toBe(extended);
    }),
    { numRuns: 60 },
  );
});

describe("a plan of several large files", () => {
  const commit = 600_000;
  const everyThird = Uint32Array.from({ length: commit / 3 }, (_, n) => 3 * n + 3);
  const everySixThousandth = Uint32Array.from({ length: 100 }, (_, n) => 6_000 * n + 1);
  const files = [
    new GeneratedLtx({ level: 9, minTxid: 1, commit }),
    new GeneratedLtx({ level: 3, minTxid: 2, maxTxid: 90, commit, pgnos: everyThird }),
    new GeneratedLtx({ level: 0, minTxid: 91, commit, pgnos: everySixThousandth }),
  ];
  const newest = (pgno: number) => files.findLastIndex((file) => file.place(pgno) !== undefined);

  test("knows the newest of each page, and asks its indexes side by side", async () => {
    const store = countingStore(generatedStore(files));
    const replica = replicaIn(store);
    const windows = new IndexWindows({ bytesMax: 400_000 });
    const plan = await loadPlan(replica, LATEST);
    const { pages } = await openPlan(replica, plan, { windows });
    for (const pgno of [1, 2, 3, 4, 300_000, 300_001, 6_001, 599_997, 599_999, 600_000, 123_456]) {
      store.reset();
      const { location } = await pages.find(pgno, { replica });
      expect(location).toMatchObject({ file: newest(pgno), ...files[newest(pgno)].place(pgno) });
      expect(store.rounds).toBeLessThanOrEqual(2);
      expect(windows.bytes).toBeLessThanOrEqual(400_000);
    }
    expect(pages.sizeBytes).toBeLessThan(3_000);
  });

  test("is looked up for many pages with a read for each part of an index, six at a time", async () => {
    const store = countingStore(generatedStore([files[0]]));
    const replica = replicaIn(store);
    const { pages } = await openPlan(replica, await loadPlan(replica, LATEST));
    store.reset();
    const near = Array.from({ length: 900 }, (_, n) => 200_000 + n);
    const far = Array.from({ length: 30 }, (_, n) => 220_000 + 9_000 * n);
    const found = await locatePages(pages, [...near, ...far], { replica });
    for (const pgno of [...near, ...far]) {
      expect(found.get(pgno)?.location).toEqual({ file: 0, ...files[0].place(pgno) });
    }
    expect(store.gets).toBeLessThanOrEqual(2 * 31);
    expect(store.inFlightMax).toBe(6);
  });

  test("of which one has gone is OBJECT_MISSING, once nothing is left under way", async () => {
    const store = countingStore(generatedStore(files.slice(0, 2)));
    const replica = replicaIn(store);
    const { pages } = await openPlan(replica, await loadPlan(replica, LATEST));
    const gone = replicaIn(generatedStore([files[1]]));
    await expect(pages.find(400_001, { replica: gone })).rejects.toMatchObject({
      code: "OBJECT_MISSING",
      message: `"${files[0].key}" is no longer in the bucket`,
    });
  });
});

test("a map of some pages of a large database keeps the same as one of all, and takes memory for these", () => {
  const aPlace: fc.Arbitrary<PageLocation> = fc.record(
    {
      file: fc.integer({ min: 0, max: 0xffff }),
      offset: fc.integer({ min: 100, max: 2 ** 48 - 1 }),
      size: fc.integer({ min: 1, max: 0xffff_ffff }),
      checksum: fc.integer({ min: 0, max: 0xffff_ffff }),
    },
    { requiredKeys: ["file", "offset", "size"] },
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 2_000 }), aPlace), { maxLength: 60 }),
      (places) => {
        const all = new Map(places);
        const some = new SparsePageMap(all);
        for (let pgno = 0; pgno <= 2_001; pgno++)
          expect(some.get(pgno)).toEqual(all.get(pgno) ?? null);
        expect(some.sizeBytes).toBeLessThanOrEqual(26 * places.length);
      },
    ),
  );
});

test("a page that came with its place comes through the layers", async () => {
  const replica = replicaIn(new MemoryStore());
  const location = { file: 0, offset: 100, size: 40 };
  const page = new Uint8Array(512);
  const bundle = { sizeBytes: 7, get: () => undefined, find: async () => ({ location, page }) };
  const newer = new SparsePageMap(new Map([[2, { file: 1, offset: 100, size: 40 }]]));
  const layered = new LayeredPages(9, [newer, bundle]);
  expect(await layered.find(1, { replica })).toEqual({ location, page });
  expect(layered.get(1)).toBeUndefined();
  expect(layered.get(2)?.file).toBe(1);
  expect(layered.get(10)).toBeNull();
  expect(layered.sizeBytes).toBe(7 + 26);
});
