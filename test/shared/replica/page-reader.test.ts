import { beforeEach, describe, expect, test } from "vitest";
import { PageCache } from "../../../shared/replica/page-cache.ts";
import { PageReader } from "../../../shared/replica/page-reader.ts";
import { openSnapshot } from "../../../shared/replica/snapshot.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { countingStore, type CountingStore } from "../../support/counting-store.ts";
import { patched, sameBytes } from "../../support/ltx-fixtures.ts";
import { historyOf, type PageHistory } from "../../support/page-history.ts";
import { replicaIn, txid } from "../../support/replica-fixtures.ts";

const LATEST = { kind: "latest" } as const;
const PAGES = 2_000;

/** A megabyte that does not compress; later transactions change a few pages here and there. */
const HISTORY = historyOf(
  [
    { commit: PAGES },
    { commit: PAGES, changed: [1, 500, 501, 502] },
    { commit: PAGES, changed: [1, 501, 1_500] },
    { commit: PAGES, changed: [1, 1_700] },
  ],
  { kind: "noise" },
);

let memory: MemoryStore;
let store: CountingStore;

beforeEach(() => {
  memory = new MemoryStore();
  store = countingStore(memory);
});

/** A reader of the newest state, opened; what it costs from here on is counted. */
async function openReader(bytesMax = 10_000_000): Promise<PageReader> {
  const cache = new PageCache({ bytesMax });
  const reader = new PageReader(await openSnapshot(replicaIn(store), LATEST, { cache }), { cache });
  store.reset();
  return reader;
}

async function readPage(reader: PageReader, pgno: number): Promise<Uint8Array> {
  if (!reader.resident(pgno)) await reader.load(pgno);
  return reader.resident(pgno) ?? new Uint8Array();
}

async function expectPages(reader: PageReader, pgnos: Iterable<number>): Promise<void> {
  const image = HISTORY.image(Number(reader.snapshot.txid));
  for (const pgno of pgnos) {
    const page = image.subarray((pgno - 1) * 512, pgno * 512);
    expect(sameBytes(await readPage(reader, pgno), page)).toBe(true);
  }
}

function sequence(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

async function putAll(): Promise<void> {
  await HISTORY.put(replicaIn(memory), 9, 1);
  for (let n = 2; n <= HISTORY.head; n++) await HISTORY.put(replicaIn(memory), 0, n);
}

describe("what reading costs", () => {
  beforeEach(putAll);

  test("one page is one read of one frame", async () => {
    const reader = await openReader();
    await expectPages(reader, [1_000]);
    expect({ gets: store.gets, lists: store.lists }).toEqual({ gets: 1, lists: 0 });
    expect(store.bytesRead).toBeLessThan(512 + 40);
    expect(reader.stats).toEqual({
      faults: 1,
      pages: 1,
      requests: 1,
      bytes: store.bytesRead,
      verified: false,
    });
  });

  test("a page that is at hand costs nothing", async () => {
    const reader = await openReader();
    await expectPages(reader, [1_000]);
    await expectPages(reader, [1_000, 1, 500]);
    expect(store.gets).toBe(1);
  });

  test("a scan takes few reads, and at most six at a time", async () => {
    const reader = await openReader();
    let windows = 0;
    for (const pgno of sequence(1, PAGES)) {
      if (!reader.comesAlong(pgno)) windows++;
      await expectPages(reader, [pgno]);
    }
    // They double from one page to a mebibyte; the few changed pages came with the small files.
    expect(windows).toBeLessThanOrEqual(11);
    // And a window with changed pages in it may take a few reads.
    expect(store.gets).toBeLessThanOrEqual(15);
    expect(store.inFlightMax).toBeLessThanOrEqual(6);
    expect(store.bytesRead).toBeLessThan(1.1 * PAGES * 512);
  });

  test("scattered pages are one read each and nothing more", async () => {
    const reader = await openReader();
    const scattered = sequence(0, 49).map((n) => 200 + ((n * 677) % 1_800));
    await expectPages(reader, scattered);
    expect(store.gets).toBeLessThanOrEqual(50);
    expect(store.bytesRead).toBeLessThanOrEqual(2 * 50 * 550 + 65_536);
  });

  test("pages of many files in one window are read six at a time", async () => {
    // Every page of the second half was changed by another one of 32 files.
    const history = historyOf(
      [
        { commit: 400 },
        ...sequence(0, 31).map((n) => ({
          commit: 400,
          changed: sequence(201, 400).filter((pgno) => pgno % 32 === n),
        })),
      ],
      { kind: "noise", pageSize: 16_384 },
    );
    memory = new MemoryStore();
    store = countingStore(memory);
    for (let n = 1; n <= history.head; n++) await history.put(replicaIn(memory), 0, n);
    const reader = await openReader(100_000_000);
    await readScan(reader, history, sequence(201, 400));
    expect(store.gets).toBeGreaterThan(60);
    expect(store.inFlightMax).toBe(6);
    expect(store.rounds).toBeLessThan(60);
  });

  test("a cache smaller than one window still gives each page", async () => {
    const reader = await openReader(2_000);
    await expectPages(reader, sequence(1, 600));
    expect(store.bytesRead).toBeLessThan(600 * 600 * 3);
  });
});

async function readScan(reader: PageReader, history: PageHistory, pgnos: number[]): Promise<void> {
  const image = history.image(history.head);
  for (const pgno of pgnos) {
    const start = (pgno - 1) * history.pageSize;
    const page = await readPage(reader, pgno);
    expect(sameBytes(page, image.subarray(start, start + history.pageSize))).toBe(true);
  }
}

test("two readers of two states share the pages that did not change", async () => {
  await putAll();
  const cache = new PageCache({ bytesMax: 10_000_000 });
  const replica = replicaIn(store);
  const old = await openSnapshot(replica, { kind: "txid", txid: txid(1) }, { cache });
  await expectPages(new PageReader(old, { cache }), sequence(1, PAGES));
  const reader = new PageReader(await openSnapshot(replica, LATEST, { cache }), { cache });
  store.reset();
  await expectPages(reader, sequence(1, PAGES));
  expect(store.gets).toBe(0);
});

describe("when a file goes while it is read", () => {
  test("it plans again, once, and answers from what covers it", async () => {
    await HISTORY.put(replicaIn(memory), 9, 1);
    const large = await HISTORY.put(replicaIn(memory), 1, 2, 4);
    const reader = await openReader();
    await HISTORY.put(replicaIn(memory), 9, 1, 4);
    await memory.delete(["db/0009/0000000000000001-0000000000000001.ltx", large]);
    await expectPages(reader, [1_000, 1_001, 500, 1, 1_700]);
    expect(store.lists).toBe(1);
    expect(reader.snapshot.plan.files).toHaveLength(1);
  });

  test("a file that was replaced is not mixed with the old one", async () => {
    await HISTORY.put(replicaIn(memory), 9, 1);
    const reader = await openReader();
    await HISTORY.put(replicaIn(memory), 9, 1);
    await expectPages(reader, [1_000, 1_500]);
    expect(store.lists).toBe(1);
  });

  test("VERSION_EXPIRED when nothing leads to its TXID any more", async () => {
    await putAll();
    const reader = await openReader();
    await memory.delete(["db/0009/0000000000000001-0000000000000001.ltx"]);
    await HISTORY.put(replicaIn(memory), 9, 1, 3);
    await memory.delete(["db/0000/0000000000000004-0000000000000004.ltx"]);
    const newer = historyOf(sequence(1, 5).map(() => ({ commit: 3, changed: [1] })));
    await newer.put(replicaIn(memory), 0, 5);
    await expect(reader.load(1_000)).rejects.toMatchObject({
      code: "VERSION_EXPIRED",
      details: { neighbours: { before: "0000000000000003" } },
    });
  });

  test("a second time is one time too many", async () => {
    await HISTORY.put(replicaIn(memory), 9, 1);
    const reader = await openReader();
    await HISTORY.put(replicaIn(memory), 9, 1);
    await expectPages(reader, [1_000]);
    await HISTORY.put(replicaIn(memory), 9, 1);
    await expect(reader.load(1_500)).rejects.toMatchObject({ code: "OBJECT_MISSING" });
  });
});

describe("refusals", () => {
  const KEY = "db/0009/0000000000000001-0000000000000001.ltx";

  test("a damaged frame is CORRUPT_PAGE and names the file", async () => {
    const bytes = HISTORY.file(1, 1);
    const flipped = patched(bytes, 600_000, bytes[600_000] ^ 1, bytes[600_001] ^ 1);
    await memory.put(KEY, flipped);
    const reader = await openReader();
    // No checksum covers one frame alone: what its structure cannot show, the page's place does.
    const { offset } = reader.snapshot.pages.get(1_000)!;
    await memory.put(KEY, patched(bytes, offset, 0, 0, 9));
    const again = await openReader();
    await expect(again.load(1_000)).rejects.toMatchObject({
      code: "CORRUPT_PAGE",
      message: expect.stringMatching(new RegExp(`^"${KEY}" is damaged: `)),
    });
  });

  test("a page that no file holds is CORRUPT_PAGE", async () => {
    await memory.put(KEY, HISTORY.file(1, 1));
    const reader = await openReader();
    await expect(reader.load(PAGES + 1)).rejects.toMatchObject({
      code: "CORRUPT_PAGE",
      message: `page ${PAGES + 1} of ${PAGES} is in none of the LTX files of its plan`,
    });
    expect(reader.resident(PAGES + 1)).toBeUndefined();
  });

  test("a signal that has fired is ABORTED and reads nothing", async () => {
    await memory.put(KEY, HISTORY.file(1, 1));
    const reader = await openReader();
    await expect(reader.load(1_000, AbortSignal.abort())).rejects.toMatchObject({
      code: "ABORTED",
    });
    expect(reader.resident(1_000)).toBeUndefined();
    await expectPages(reader, [1_000]);
  });
});

test("the lock page is zeros and costs nothing", async () => {
  // With pages of 64 KiB it is page 16,385; a database need not reach it for the question.
  const history = historyOf([{ commit: 2 }], { pageSize: 65_536 });
  await history.put(replicaIn(memory), 9, 1);
  const reader = await openReader();
  expect(reader.resident(16_385)).toEqual(new Uint8Array(65_536));
  expect(reader.resident(16_384)).toBeUndefined();
  expect(store.gets).toBe(0);
});
