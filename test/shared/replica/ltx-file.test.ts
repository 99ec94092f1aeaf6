import { beforeEach, describe, expect, test } from "vitest";
import { isReplicaError, type ErrorCode } from "../../../shared/errors.ts";
import { decodeLtx } from "../../../shared/ltx/decoder.ts";
import { openLtxFile } from "../../../shared/replica/ltx-file.ts";
import { listLtxFiles, type LtxFileInfo } from "../../../shared/replica/list-ltx-files.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { PageCache } from "../../../shared/replica/page-cache.ts";
import { readPageIndex } from "../../../shared/ltx/page-index.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { countingStore, type CountingStore } from "../../support/counting-store.ts";
import {
  assembleLtx,
  ltxFile,
  ltxHeader,
  patched,
  rawFrame,
  samplePage,
  type PageKind,
  type RawLtx,
} from "../../support/ltx-fixtures.ts";
import { historyOf } from "../../support/page-history.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const KEY = "db/0000/0000000000000001-0000000000000001.ltx";

let memory: MemoryStore;
let store: CountingStore;
let replica: Replica;

beforeEach(() => {
  memory = new MemoryStore();
  store = countingStore(memory);
  replica = replicaIn(store);
});

/** The one file of a database of so many pages of 512 bytes. */
function fileOf(pages: number, kind: PageKind = "noise"): Uint8Array {
  return historyOf([{ commit: pages }], { kind }).file(1, 1);
}

function codeOf(error: unknown): ErrorCode {
  if (isReplicaError(error)) return error.code;
  throw error;
}

/** A large file with parts of its own, whose checksum is right. */
function largeOf(parts: Partial<RawLtx>): Uint8Array {
  const pages = Array.from({ length: 150 }, (_, n) => samplePage("noise", n + 1, 512));
  const frames = pages.map((page, n) => rawFrame(n + 1, page));
  return assembleLtx({ header: ltxHeader({ commit: 150 }), frames, ...parts });
}

/** Stores `bytes` under TXID 1, forgets what that cost, and gives what a listing says of it. */
async function stored(bytes: Uint8Array, key = KEY): Promise<LtxFileInfo> {
  await memory.put(key, bytes);
  const [info] = await Array.fromAsync(listLtxFiles(replicaIn(memory), { level: 0 }));
  store.reset();
  return info;
}

function pagesOf(index: Uint8Array | undefined): number[] {
  const pgnos: number[] = [];
  readPageIndex(index!, (pgno) => pgnos.push(pgno));
  return pgnos;
}

describe("what opening a file costs", () => {
  const sizes: [string, Uint8Array, number, number][] = [
    ["up to 64 KiB: one read of all of it", fileOf(110), 1, 1],
    ["larger: its beginning and its end, side by side", fileOf(500), 2, 1],
    ["an index longer than guessed: a third for the rest of it", fileOf(12_000, "zeros"), 3, 2],
  ];
  test.each(sizes)("%s", async (_name, bytes, gets, rounds) => {
    const info = await stored(bytes);
    const { header, index } = await openLtxFile(replica, info);
    expect({ gets: store.gets, rounds: store.rounds }).toEqual({ gets, rounds });
    expect(store.bytesRead).toBeLessThanOrEqual(Math.min(bytes.length, 200_000));
    expect(pagesOf(index)).toEqual(Array.from({ length: header.commit }, (_, n) => n + 1));
  });

  test("the large file that the doctored ones below begin with is sound", async () => {
    await openLtxFile(replica, await stored(largeOf({})));
    expect(store.gets).toBe(2);
  });

  test("of a file that holds far more than its size, all pages are verified and 16 MiB are kept", async () => {
    const zeros = new Uint8Array(4_096);
    const pages = Object.fromEntries(Array.from({ length: 6_000 }, (_, n) => [n + 1, zeros]));
    const bytes = ltxFile({ pageSize: 4_096, commit: 6_000, pages });
    expect(bytes.length).toBeLessThan(500_000);
    const cache = new PageCache({ bytesMax: 100_000_000 });
    const info = await stored(bytes);
    const file = await openLtxFile(replica, info, { cache, wholeBytesMax: 4 * 1024 * 1024 });
    expect(file.checksums).toHaveLength(6_000);
    // The first page of a file costs a little more than the others.
    const one = new PageCache({ bytesMax: 100_000_000 });
    one.set("a", 0, zeros);
    const firstBytes = one.bytes;
    one.set("a", 1, zeros);
    expect(cache.bytes).toBe(firstBytes + 4_095 * (one.bytes - firstBytes));
  });

  test("64 KiB is the bound of what is read whole", async () => {
    const whole = fileOf(110);
    expect(whole.length).toBeLessThan(65_536);
    expect(fileOf(130).length).toBeGreaterThan(65_536);
    await openLtxFile(replica, await stored(whole));
    expect(store.bytesRead).toBe(whole.length);
    await openLtxFile(replica, await stored(fileOf(130)));
    expect(store.gets).toBe(2);
  });

  test("every page whose frame came along with the beginning is kept, the last sixteen, and no other", async () => {
    const cache = new PageCache({ bytesMax: 1_000_000 });
    const bytes = fileOf(500);
    const { pages } = decodeLtx(bytes);
    const info = await stored(bytes);
    const { index } = await openLtxFile(replica, info, { cache });
    readPageIndex(index!, (pgno, offset, size) => {
      const cached = cache.get(`${info.etag} ${KEY}`, offset);
      const isAlong = offset + size <= 65_536 || pgno > 500 - 16;
      expect(cached).toEqual(
        isAlong ? { page: pages[pgno - 1].data, isVerified: false } : undefined,
      );
    });
  });

  test("a damaged frame that came along with the end keeps nobody from the other pages", async () => {
    const cache = new PageCache({ bytesMax: 1_000_000 });
    const bytes = fileOf(500);
    const sound = await openLtxFile(replica, await stored(bytes));
    let lastOffset = 0;
    readPageIndex(sound.index!, (_pgno, offset) => void (lastOffset = offset));
    // Another page's number.
    const info = await stored(patched(bytes, lastOffset, 0xff));
    const { index } = await openLtxFile(replica, info, { cache });
    readPageIndex(index!, (pgno, offset) => {
      if (pgno > 500 - 16) expect(cache.has(`${info.etag} ${KEY}`, offset)).toBe(pgno !== 500);
    });
  });

  test("every page of a small file is kept", async () => {
    const cache = new PageCache({ bytesMax: 1_000_000 });
    const bytes = fileOf(20);
    const { pages } = decodeLtx(bytes);
    const info = await stored(bytes);
    const { index } = await openLtxFile(replica, info, { cache });
    readPageIndex(index!, (pgno, offset) => {
      const cached = cache.get(`${info.etag} ${KEY}`, offset);
      expect(cached).toEqual({ page: pages[pgno - 1].data, isVerified: true });
    });
  });
});

describe("a file that was damaged is CORRUPT_PAGE and named", () => {
  const small = fileOf(20);
  const large = fileOf(500);
  const other = ltxFile({ minTxid: 2, pages: { 1: 1 } });
  const end = large.length;

  const damages: [string, Uint8Array][] = [
    ["empty", new Uint8Array()],
    ["shorter than any LTX file", small.slice(0, 130)],
    ["not LTX at all", new Uint8Array(1_000).fill(65)],
    ["not LTX at all, and large", new Uint8Array(100_000).fill(65)],
    ["small and cut short", small.slice(0, -1)],
    ["small with a flipped bit in a page", patched(small, 2_000, small[2_000] ^ 1)],
    [
      "small with a flipped bit in its trailer",
      patched(small, small.length - 1, small.at(-1)! ^ 1),
    ],
    ["large and cut short", large.slice(0, -1)],
    ["large and cut in the middle", large.slice(0, end / 2)],
    ["large without its first byte", large.slice(1)],
    ["large with a wrong index length", patched(large, end - 17, large[end - 17] ^ 1)],
    ["large with an index longer than itself", patched(large, end - 24, 255)],
    ["large with a damaged index", patched(large, end - 1_000, large[end - 1_000] ^ 0x40)],
    [
      "large with bytes between its pages and its index",
      largeOf({ terminator: new Uint8Array(60) }),
    ],
    ["large with a checksum that its header rules out", largeOf({ postApplyChecksum: 5n })],
    ["the file of other TXIDs", other],
  ];
  test.each(damages)("%s", async (_name, bytes) => {
    const info = await stored(bytes);
    await expect(openLtxFile(replica, info)).rejects.toMatchObject({
      code: "CORRUPT_PAGE",
      message: expect.stringMatching(new RegExp(`^"${KEY}" is damaged: `)),
    });
  });

  test("or gives the very pages that it held, whichever bit was flipped", async () => {
    const pages = decodeLtx(small).pages;
    const info = await stored(small);
    let accepted = 0;
    for (let offset = 0; offset < small.length; offset += 13) {
      const { etag } = await memory.put(KEY, patched(small, offset, small[offset] ^ 4));
      const cache = new PageCache({ bytesMax: 1_000_000 });
      const opened = await openLtxFile(replica, { ...info, etag }, { cache }).catch(codeOf);
      if (opened === "CORRUPT_PAGE") continue;
      accepted++;
      if (typeof opened === "string") throw new Error(`${opened} at ${offset}`);
      readPageIndex(opened.index!, (pgno, place) => {
        expect(cache.get(`${etag} ${KEY}`, place)?.page).toEqual(pages[pgno - 1].data);
      });
    }
    // LZ4 leaves four bits of a block without any match unused.
    expect(accepted).toBeLessThan(5);
  });
});

describe("the object is pinned", () => {
  test.each([
    ["small", 20],
    ["large", 500],
  ] as const)(
    "a %s one that was replaced or deleted since the listing is OBJECT_MISSING",
    async (_name, pages) => {
      const info = await stored(fileOf(pages));
      await memory.put(KEY, fileOf(pages, "words"));
      await expect(openLtxFile(replica, info)).rejects.toMatchObject({
        code: "OBJECT_MISSING",
        message: expect.stringContaining(`"${KEY}" was replaced since it was listed`),
      });
      await memory.delete([KEY]);
      await expect(openLtxFile(replica, info)).rejects.toMatchObject({
        code: "OBJECT_MISSING",
        message: expect.stringContaining(`"${KEY}" is no longer in the bucket`),
      });
    },
  );

  test("a signal that has fired is ABORTED", async () => {
    const info = await stored(fileOf(20));
    const signal = AbortSignal.abort();
    await expect(openLtxFile(replica, info, { signal })).rejects.toMatchObject({ code: "ABORTED" });
  });
});
