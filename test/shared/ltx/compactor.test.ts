import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CompactionInput, compactLtx } from "../../../shared/ltx/compactor.ts";
import { decodeLtx, type LtxPage } from "../../../shared/ltx/decoder.ts";
import { openLtx } from "../../../shared/ltx/open-ltx.ts";
import {
  assembleLtx,
  concatBytes,
  goldenFile,
  goldenPages,
  hexOf,
  type LtxFixture,
  ltxFile,
  ltxHeader,
  patched,
  rawFrame,
  steppedPage,
} from "../../support/ltx-fixtures.ts";

function merge(files: readonly Uint8Array[]): Uint8Array {
  return concatBytes(compactLtx(files.map((file) => openLtx([file]))));
}

function mergeFixtures(fixtures: readonly LtxFixture[]) {
  return decodeLtx(merge(fixtures.map(ltxFile)));
}

/** First byte of each page, by page number: what a stepped page was made from. */
function seeds(pages: Iterable<LtxPage>): Record<number, number> {
  return Object.fromEntries(Array.from(pages, ({ pgno, data }) => [pgno, data[0]]));
}

describe("compactLtx", () => {
  it("merges V1 and V2 to what the reference makes of them", () => {
    const { header, pages } = decodeLtx(merge([goldenFile("V1"), goldenFile("V2")]));
    expect(header).toEqual(decodeLtx(goldenFile("V3")).header);
    expect(new Map(pages.map(({ pgno, data }) => [pgno, data]))).toEqual(goldenPages("V3"));
  });

  it("reads both codecs and writes the one that it is asked for", () => {
    const files = [goldenFile("V9"), goldenFile("V2")];
    const inputs = () => files.map((file) => openLtx([file]));
    const blocks = concatBytes(compactLtx(inputs()));
    const frames = concatBytes(compactLtx(inputs(), { codec: "frame" }));
    expect(hexOf(blocks.subarray(104, 106))).toBe("0001");
    expect(hexOf(frames.subarray(104, 106))).toBe("0000");
    expect(decodeLtx(frames).pages).toEqual(decodeLtx(blocks).pages);
  });

  it("takes beginning from the first file, end and time from the last, nothing of the WAL", () => {
    const { header } = mergeFixtures([
      {
        minTxid: 4,
        maxTxid: 6,
        commit: 9,
        timestampMs: 100,
        pages: { 1: 1 },
        walOffset: 32,
        nodeId: 7n,
      },
      {
        minTxid: 7,
        maxTxid: 8,
        commit: 5,
        timestampMs: 50,
        pages: { 1: 2 },
        walOffset: 32,
        walSalt1: 1,
      },
    ]);
    expect(header).toEqual(ltxHeader({ minTxid: 4, maxTxid: 8, commit: 5, timestampMs: 50 }));
  });

  it("gives one file back as it is", () => {
    expect(seeds(mergeFixtures([{ commit: 2, pages: { 1: 1, 2: 2 } }]).pages)).toEqual({
      1: 1,
      2: 2,
    });
  });

  it("drops pages beyond the last file's end, though a middle one had them", () => {
    const merged = mergeFixtures([
      { minTxid: 1, commit: 3, pages: { 1: 1, 2: 2, 3: 3 } },
      { minTxid: 2, commit: 5, pages: { 4: 4, 5: 5 } },
      { minTxid: 3, commit: 2, pages: { 1: 9 } },
    ]);
    expect(seeds(merged.pages)).toEqual({ 1: 9, 2: 2 });
  });

  it("takes files that overlap, the later one winning where both have a page", () => {
    const merged = mergeFixtures([
      { minTxid: 2, maxTxid: 5, commit: 4, pages: { 1: 1, 2: 1, 3: 1 } },
      { minTxid: 3, maxTxid: 7, commit: 4, pages: { 2: 2, 4: 2 } },
      { minTxid: 1, maxTxid: 9, commit: 4, pages: { 1: 3, 2: 3, 3: 3, 4: 3 } },
    ]);
    expect(seeds(merged.pages)).toEqual({ 1: 3, 2: 3, 3: 3, 4: 3 });
    expect(merged.header).toMatchObject({ minTxid: 2n, maxTxid: 9n });
  });

  it("reads files that carry the database's checksum and writes one that does not", () => {
    const { header, trailer } = decodeLtx(merge([goldenFile("V4"), goldenFile("V2")]));
    expect(header).toMatchObject({ flags: 2, preApplyChecksum: 0n });
    expect(trailer.postApplyChecksum).toBe(0n);
  });

  it("agrees with maps of pages laid over each other, whatever the files", () => {
    const files = fc.array(
      fc.record({
        // How far the file reaches back into the ones before, and how far on.
        overlap: fc.nat({ max: 3 }),
        length: fc.integer({ min: 1, max: 3 }),
        commit: fc.integer({ min: 1, max: 12 }),
        pgnos: fc.uniqueArray(fc.integer({ min: 1, max: 12 })),
        codec: fc.constantFrom("block" as const, "frame" as const),
      }),
      { minLength: 1, maxLength: 8 },
    );
    fc.assert(
      fc.property(files, (list) => {
        let maxTxid = 9;
        const model = new Map<number, number>();
        const fixtures = list.map(({ overlap, length, commit, pgnos, codec }, rank) => {
          const minTxid = Math.max(2, maxTxid + 1 - overlap);
          maxTxid += length;
          const kept = pgnos.filter((pgno) => pgno <= commit).sort((a, b) => a - b);
          for (const pgno of kept) model.set(pgno, rank + 1);
          const pages = Object.fromEntries(kept.map((pgno) => [pgno, rank + 1]));
          return { minTxid, maxTxid, commit, pages, codec };
        });
        const merged = mergeFixtures(fixtures);
        const commit = list.at(-1)?.commit ?? 0;
        const expected = [...model].filter(([pgno]) => pgno <= commit).sort(([a], [b]) => a - b);
        expect(merged.pages.map(({ pgno, data }) => [pgno, data[0]])).toEqual(expected);
        expect(merged.header).toMatchObject({ commit, maxTxid: BigInt(maxTxid) });
      }),
    );
  });

  it("holds one page of each file, however many pages they have", () => {
    const open = { now: 0, max: 0 };
    function* pages(count: number, seed: number): Generator<LtxPage> {
      for (let pgno = 1; pgno <= count; pgno++) {
        open.now++;
        open.max = Math.max(open.max, open.now);
        yield { pgno, data: steppedPage(seed) };
        open.now--;
      }
    }
    const inputs: CompactionInput[] = [1, 2, 3].map((txid) => ({
      header: ltxHeader({ minTxid: txid + 1, commit: 50 }),
      pages: pages(50, txid),
    }));
    const chunks = [...compactLtx(inputs)];
    expect(decodeLtx(concatBytes(chunks)).pageCount).toBe(50);
    expect(open).toEqual({ now: 0, max: 3 });
  });

  it("checks every file to its end, also behind the last page that it keeps", () => {
    const long = ltxFile({ minTxid: 2, commit: 9, pages: { 1: 1, 9: 9 } });
    const short = ltxFile({ minTxid: 3, commit: 1, pages: { 1: 2 } });
    expect(seeds(decodeLtx(merge([long, short])).pages)).toEqual({ 1: 2 });
    const damaged = patched(long, long.length - 1, long[long.length - 1] ^ 1);
    expect(() => merge([damaged, short])).toThrow("the file's checksum is ");
  });
});

/** A file of these transactions, without pages. */
function input(minTxid: number, maxTxid: number, pageSize = 512): CompactionInput {
  return { header: ltxHeader({ minTxid, maxTxid, pageSize }), pages: [].values() };
}

describe("compactLtx refuses", () => {
  it.each([
    [
      "a gap",
      [input(2, 3), input(5, 6)],
      "nothing lies between 0000000000000003 and 0000000000000005",
    ],
    [
      "a file within the one before",
      [input(2, 5), input(3, 4)],
      "the file that ends at 0000000000000004 adds nothing to one that ends at 0000000000000005",
    ],
    [
      "the same file twice",
      [input(2, 5), input(2, 5)],
      "the file that ends at 0000000000000005 adds noth",
    ],
    [
      "files out of order",
      [input(4, 5), input(2, 3)],
      "the file that ends at 0000000000000003 adds noth",
    ],
    ["two page sizes", [input(2, 2), input(3, 3, 1024)], "pages of 1024 bytes follow pages of 512"],
  ])("%s", (_name, inputs, message) => {
    expect(() => [...compactLtx(inputs)]).toThrow(
      expect.objectContaining({
        code: "CORRUPT_PAGE",
        message: expect.stringContaining(`the LTX files cannot be merged: ${message}`),
      }),
    );
  });

  it("a snapshot that grows without the pages by which it grows", () => {
    const snapshot = ltxFile({ commit: 1, pages: { 1: 1 } });
    const growth = ltxFile({ minTxid: 2, commit: 3, pages: { 3: 3 } });
    expect(() => merge([snapshot, growth])).toThrow("page 2 is missing from a snapshot");
  });

  it("a database that has shrunk to nothing", () => {
    const snapshot = ltxFile({ commit: 1, pages: { 1: 1 } });
    const empty = assembleLtx({ header: ltxHeader({ minTxid: 2, commit: 0 }), frames: [] });
    expect(() => merge([snapshot, empty])).toThrow(
      "a database without pages cannot be an LTX file",
    );
  });

  it("pages of one file that do not ascend", () => {
    const pages = [2, 1].map((pgno) => ({ pgno, data: rawFrame(pgno, steppedPage(0)).page }));
    const input = { header: ltxHeader({ minTxid: 2, commit: 2 }), pages: pages.values() };
    expect(() => [...compactLtx([input])]).toThrow("in one file page 1 follows page 2");
  });

  it("nothing at all", () => {
    expect(() => [...compactLtx([])]).toThrow("assertion failed: there is something to merge");
  });
});
