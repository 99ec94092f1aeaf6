/** Pages that are held against their checksums, and locators that have to look for a page. */
import { beforeEach, describe, expect, test } from "vitest";
import { pageChecksum32 } from "../../../shared/ltx/checksum.ts";
import { WHOLE_BYTES_MAX } from "../../../shared/replica/ltx-file.ts";
import { PageCache } from "../../../shared/replica/page-cache.ts";
import type {
  FoundPage,
  LocatorRead,
  PageLocation,
  PageLocator,
} from "../../../shared/replica/page-locator.ts";
import { PageReader } from "../../../shared/replica/page-reader.ts";
import { readObject } from "../../../shared/replica/read-object.ts";
import { openSnapshot, type Snapshot } from "../../../shared/replica/snapshot.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { countingStore, type CountingStore } from "../../support/counting-store.ts";
import { ltxFile, patched, sameBytes } from "../../support/ltx-fixtures.ts";
import { historyOf } from "../../support/page-history.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const LATEST = { kind: "latest" } as const;
const KEY = "db/0009/0000000000000001-0000000000000001.ltx";
const PAGES = 500;
/** A quarter of a megabyte, which is not read whole, and a small file on top. */
const HISTORY = historyOf([{ commit: PAGES }, { commit: PAGES, changed: [7, 300] }], {
  kind: "noise",
});

let memory: MemoryStore;
let store: CountingStore;
let cache: PageCache;

beforeEach(async () => {
  memory = new MemoryStore();
  store = countingStore(memory);
  cache = new PageCache({ bytesMax: 10_000_000 });
  await HISTORY.put(replicaIn(memory), 9, 1);
  await HISTORY.put(replicaIn(memory), 0, 2);
});

async function open(wholeBytesMax?: number): Promise<Snapshot> {
  const options = { cache, wholeBytesMax };
  const snapshot = await openSnapshot(replicaIn(store), LATEST, options);
  store.reset();
  return snapshot;
}

async function readPage(reader: PageReader, pgno: number): Promise<Uint8Array | undefined> {
  if (!reader.resident(pgno)) await reader.load(pgno);
  return reader.resident(pgno);
}

/** Knows the checksum of every page, as an edge bundle does; and, where it is `lazy`, no place before it has looked. */
class Checksums implements PageLocator {
  readonly sizeBytes = 0;
  finds = 0;
  readonly #pages: PageLocator;
  readonly #lazy: "no" | "places" | "pages";
  readonly #found = new Set<number>();

  constructor(pages: PageLocator, lazy: "no" | "places" | "pages" = "no") {
    this.#pages = pages;
    this.#lazy = lazy;
  }

  get(pgno: number): PageLocation | null | undefined {
    if (this.#lazy === "no" || this.#found.has(pgno)) return this.#locate(pgno);
    return undefined;
  }

  async find(pgno: number, { replica, signal }: LocatorRead): Promise<FoundPage> {
    this.finds++;
    // One read, as of a part of an index.
    await replica.store.get(KEY, { range: { offset: 0, length: 100 }, signal });
    this.#found.add(pgno);
    const location = this.#locate(pgno);
    return this.#lazy === "pages"
      ? { location, page: HISTORY.page(2, pgno).slice() }
      : { location };
  }

  #locate(pgno: number): PageLocation | null {
    const location = this.#pages.get(pgno);
    if (!location) return null;
    return { ...location, checksum: pageChecksum32(pgno, HISTORY.page(2, pgno)) };
  }
}

async function damage(pgno: number): Promise<void> {
  const { pages, files } = await open();
  const { offset } = pages.get(pgno)!;
  const [{ etag }] = files;
  // Noise is stored as literals: a bit of one changes the page and nothing of its structure.
  const bytes = HISTORY.file(1, 1);
  await memory.put(KEY, patched(bytes, offset + 200, bytes[offset + 200] ^ 1));
  expect((await open()).files[0].etag).not.toBe(etag);
}

describe("an answer is verified", () => {
  test("as long as every page of it was", async () => {
    const snapshot = await open();
    const reader = new PageReader(snapshot, { cache });
    expect(reader.stats.verified).toBe(true);
    // Of the small file, which was read whole.
    expect(sameBytes((await readPage(reader, 300))!, HISTORY.page(2, 300))).toBe(true);
    expect(reader.stats.verified).toBe(true);
    await readPage(reader, 301);
    expect(reader.stats.verified).toBe(false);
    await readPage(reader, 300);
    expect(reader.stats.verified).toBe(false);
  });

  test("not where page 1 came with the beginning of a large file", async () => {
    const reader = new PageReader(await open(), { cache });
    expect(reader.resident(1)).toBeDefined();
    expect(reader.stats).toMatchObject({ requests: 0, verified: false });
  });

  test("where the pages came out of a file that was read whole, and are fetched again later", async () => {
    const snapshot = await open(WHOLE_BYTES_MAX);
    cache = new PageCache({ bytesMax: 10 });
    const reader = new PageReader(snapshot, { cache });
    for (const pgno of [1, 7, 200, 300, PAGES]) {
      expect(sameBytes((await readPage(reader, pgno))!, HISTORY.page(2, pgno))).toBe(true);
    }
    expect(store.gets).toBe(5);
    expect(reader.stats.verified).toBe(true);
  });

  test("where pages from the cache were fetched by a reader that knew no checksums", async () => {
    const snapshot = await open();
    await readPage(new PageReader(snapshot, { cache }), 200);
    store.reset();
    const pages = new Checksums(snapshot.pages);
    const reader = new PageReader({ ...snapshot, pages, doubtfulFiles: 0 }, { cache });
    expect(sameBytes((await readPage(reader, 200))!, HISTORY.page(2, 200))).toBe(true);
    expect(store.gets).toBe(0);
    expect(reader.stats.verified).toBe(true);
    // Whoever finds it there by an index that nobody has verified cannot tell which page it is.
    const next = new PageReader(snapshot, { cache });
    expect(next.resident(200)).toBeDefined();
    expect(next.stats.verified).toBe(false);
  });

  test("with the lock page, which no file holds", async () => {
    memory = new MemoryStore();
    store = countingStore(memory);
    await memory.put(KEY, ltxFile({ commit: 2, pageSize: 65_536, pages: { 1: 1, 2: 2 } }));
    const reader = new PageReader(await open(), { cache });
    expect(reader.resident(16_385)).toHaveLength(65_536);
    expect(reader.stats.verified).toBe(true);
  });
});

describe("a page that does not match its checksum", () => {
  const message = `"${KEY}" is damaged: page 200 at TXID 0000000000000002 does not match its checksum`;

  test("is CORRUPT_PAGE and never given out", async () => {
    await damage(200);
    const snapshot = await open();
    const pages = new Checksums(snapshot.pages);
    const reader = new PageReader({ ...snapshot, pages, doubtfulFiles: 0 }, { cache });
    await expect(reader.load(200)).rejects.toMatchObject({ code: "CORRUPT_PAGE", message });
    expect(reader.resident(200)).toBeUndefined();
    await readPage(reader, 198);
    expect(reader.stats.verified).toBe(true);
  });

  test("is given to whoever knows no checksum, and the answer is not verified", async () => {
    await damage(200);
    const snapshot = await open();
    const reader = new PageReader(snapshot, { cache });
    expect(sameBytes((await readPage(reader, 200))!, HISTORY.page(2, 200))).toBe(false);
    expect(reader.stats.verified).toBe(false);
    // What that leaves in the cache is not taken for the page by who knows better.
    const pages = new Checksums(snapshot.pages);
    const knowing = new PageReader({ ...snapshot, pages, doubtfulFiles: 0 }, { cache });
    expect(knowing.resident(200)).toBeUndefined();
    await expect(knowing.load(200)).rejects.toMatchObject({ code: "CORRUPT_PAGE", message });
  });

  test("is left out where it only came along", async () => {
    await damage(200);
    const snapshot = await open();
    const pages = new Checksums(snapshot.pages);
    const reader = new PageReader({ ...snapshot, pages, doubtfulFiles: 0 }, { cache });
    for (const pgno of [198, 199]) await readPage(reader, pgno);
    expect(reader.resident(200)).toBeUndefined();
    await expect(reader.load(200)).rejects.toMatchObject({ code: "CORRUPT_PAGE", message });
  });

  test("is CORRUPT_PAGE too where it lay beside its location", async () => {
    const snapshot = await open();
    const pages = new Checksums(snapshot.pages, "pages");
    pages.find = async (pgno, read) => {
      await readObject(read.replica, snapshot.files[0], { offset: 0, length: 10 }, read.signal);
      const location = { ...snapshot.pages.get(pgno)!, checksum: 1 };
      return { location, page: HISTORY.page(2, pgno).slice() };
    };
    const reader = new PageReader({ ...snapshot, pages, doubtfulFiles: 0 }, { cache });
    await expect(reader.load(200)).rejects.toMatchObject({ code: "CORRUPT_PAGE", message });
    expect(reader.resident(200)).toBeUndefined();
  });
});

describe("a locator that has to look", () => {
  test("is asked once for a page, before its frame is read", async () => {
    const snapshot = await open();
    const pages = new Checksums(snapshot.pages, "places");
    const reader = new PageReader({ ...snapshot, pages, doubtfulFiles: 0 }, { cache });
    await Promise.all([reader.load(200), reader.load(200)]);
    expect(sameBytes(reader.resident(200)!, HISTORY.page(2, 200))).toBe(true);
    expect({ finds: pages.finds, gets: store.gets }).toEqual({ finds: 1, gets: 2 });
    expect(reader.stats).toMatchObject({ requests: 2, bytes: store.bytesRead, verified: true });
  });

  test("may have the page beside its place: its frame is not read then", async () => {
    const snapshot = await open();
    const pages = new Checksums(snapshot.pages, "pages");
    const reader = new PageReader({ ...snapshot, pages, doubtfulFiles: 0 }, { cache });
    await reader.load(200);
    expect(sameBytes(reader.resident(200)!, HISTORY.page(2, 200))).toBe(true);
    expect(store.gets).toBe(1);
    expect(reader.stats).toMatchObject({ pages: 1, verified: true });
  });

  test("may name a place whose page is in the cache already", async () => {
    const snapshot = await open();
    await readPage(new PageReader(snapshot, { cache }), 200);
    store.reset();
    const pages = new Checksums(snapshot.pages, "places");
    const reader = new PageReader({ ...snapshot, pages, doubtfulFiles: 0 }, { cache });
    await readPage(reader, 200);
    expect(store.gets).toBe(1);
    expect(reader.stats.verified).toBe(true);
  });

  test("may find that no file holds the page", async () => {
    const snapshot = await open();
    const pages = new Checksums(snapshot.pages, "places");
    const reader = new PageReader({ ...snapshot, pages, doubtfulFiles: 0 }, { cache });
    await expect(reader.load(PAGES + 1)).rejects.toMatchObject({
      code: "CORRUPT_PAGE",
      message: `page ${PAGES + 1} of ${PAGES} is in none of the LTX files of its plan`,
    });
  });

  test("may find its object gone: the reader opens again as it was told to, once", async () => {
    const snapshot = await open();
    const stale = new Checksums(snapshot.pages, "places");
    stale.find = async (_pgno, { replica, signal }) => {
      const info = { ...snapshot.files[0], key: "db/eddy/base-1" };
      await readObject(replica, info, { offset: 0, length: 10 }, signal);
      throw new Error("there is no such object");
    };
    let reopened = 0;
    const reader = new PageReader(
      { ...snapshot, pages: stale, doubtfulFiles: 0 },
      {
        cache,
        reopen: (before) => {
          reopened++;
          return Promise.resolve({ ...before, pages: new Checksums(snapshot.pages, "places") });
        },
      },
    );
    await Promise.all([readPage(reader, 200), readPage(reader, 201)]);
    expect(sameBytes(reader.resident(200)!, HISTORY.page(2, 200))).toBe(true);
    expect(reopened).toBe(1);
    expect(store.lists).toBe(0);
  });
});
