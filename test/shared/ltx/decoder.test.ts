import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pageChecksum, toChecksum } from "../../../shared/ltx/checksum.ts";
import { decodeLtx, LtxDecoder } from "../../../shared/ltx/decoder.ts";
import {
  assembleLtx,
  GOLDEN,
  goldenFile,
  type GoldenName,
  goldenPages,
  hexOf,
  ltxFile,
  ltxHeader,
  rawFrame,
  sameBytes,
  samplePage,
  steppedPage,
} from "../../support/ltx-fixtures.ts";

const names = Object.keys(GOLDEN) as GoldenName[];

/** Decodes `file` from pieces of the given sizes, over and over. */
function decodeInPieces(file: Uint8Array, sizes: readonly number[]) {
  const decoder = new LtxDecoder();
  const pages = new Map<number, Uint8Array>();
  for (let start = 0, i = 0; start < file.length; i++) {
    const size = sizes[i % sizes.length];
    for (const { pgno, data } of decoder.push(file.subarray(start, start + size))) {
      pages.set(pgno, data);
    }
    start += size;
  }
  return { pages, summary: decoder.finish() };
}

function pagesOf(file: Uint8Array): Map<number, Uint8Array> {
  return new Map(decodeLtx(file).pages.map(({ pgno, data }) => [pgno, data]));
}

describe("decodeLtx", () => {
  it.each(names)("reads %s, which the reference implementation wrote", (name) => {
    const file = goldenFile(name);
    const { pages, trailer, pageCount, sizeBytes } = decodeLtx(file);
    expect(new Map(pages.map(({ pgno, data }) => [pgno, data]))).toEqual(goldenPages(name));
    expect(trailer.fileChecksum.toString(16)).toBe(GOLDEN[name].fileChecksum);
    expect(pageCount).toBe(goldenPages(name).size);
    expect(sizeBytes).toBe(file.length);
  });

  it("reads both codecs in one file", () => {
    const pages = [1, 2, 3].map((pgno) => samplePage("words", pgno, 512));
    const frames = pages.map((page, i) => rawFrame(i + 1, page, i === 1 ? "frame" : "block"));
    const file = assembleLtx({ header: ltxHeader({ commit: 3 }), frames });
    expect(pagesOf(file)).toEqual(new Map(pages.map((page, i) => [i + 1, page])));
  });

  it("verifies the database's checksum in a snapshot that carries one", () => {
    expect(decodeLtx(goldenFile("V4")).trailer.postApplyChecksum.toString(16)).toBe(
      GOLDEN.V4.postApply,
    );
    const page = steppedPage(1);
    const raw = { header: ltxHeader({ flags: 0 }), frames: [rawFrame(1, page)] };
    const postApplyChecksum = toChecksum(pageChecksum(1, page));
    expect(pagesOf(assembleLtx({ ...raw, postApplyChecksum }))).toEqual(new Map([[1, page]]));
    expect(() =>
      decodeLtx(assembleLtx({ ...raw, postApplyChecksum: postApplyChecksum ^ 1n })),
    ).toThrow("the database's checksum is ");
  });

  it("takes the database's checksum on trust where a file holds only a part of it", () => {
    const header = ltxHeader({ minTxid: 2, flags: 0, preApplyChecksum: toChecksum(5n) });
    const raw = { header, frames: [rawFrame(1, steppedPage(1))] };
    expect(pagesOf(assembleLtx({ ...raw, postApplyChecksum: toChecksum(7n) })).size).toBe(1);
  });

  it("reads a database without pages, which only checksums can express", () => {
    const header = ltxHeader({ flags: 0, commit: 0 });
    const postApplyChecksum = toChecksum(0n);
    expect(pagesOf(assembleLtx({ header, frames: [], postApplyChecksum })).size).toBe(0);
  });

  it("takes page 1 as a part of a later transaction without asking for the rest", () => {
    const file = ltxFile({ minTxid: 2, commit: 9, pages: { 1: 0, 9: 3 } });
    expect([...pagesOf(file).keys()]).toEqual([1, 9]);
  });
});

describe("LtxDecoder", () => {
  it("gives the same pages however the file is cut", () => {
    const pages = fc.array(fc.constantFrom("zeros", "noise", "words"), { maxLength: 6 });
    const sizes = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1 });
    fc.assert(
      fc.property(pages, fc.constantFrom("block", "frame"), sizes, (kinds, codec, sizes) => {
        const list = kinds.map((kind, i) => samplePage(kind, i, 512));
        const record = Object.fromEntries(list.map((page, i) => [i + 1, page]));
        const file = ltxFile({ minTxid: 2, commit: 6, pages: record, codec });
        const { pages, summary } = decodeInPieces(file, sizes);
        expect([...pages.values()].map(hexOf)).toEqual(list.map(hexOf));
        expect(summary.sizeBytes).toBe(file.length);
      }),
    );
  });

  it.each(names)("reads %s a byte at a time", (name) => {
    expect(decodeInPieces(goldenFile(name), [1]).pages).toEqual(goldenPages(name));
  });

  it("reads a large page a byte at a time without copying it each time", () => {
    const page = samplePage("noise", 1, 65_536);
    const blocks = ltxFile({ pageSize: 65_536, commit: 1, pages: { 1: page } });
    const frames = ltxFile({ pageSize: 65_536, commit: 1, pages: { 1: page }, codec: "frame" });
    for (const file of [blocks, frames]) {
      // Quadratic copying would move two gigabytes here.
      expect(sameBytes(decodeInPieces(file, [1]).pages.get(1) ?? page.subarray(1), page)).toBe(
        true,
      );
    }
  });

  it("knows the header as soon as its bytes are there", () => {
    const decoder = new LtxDecoder();
    const file = goldenFile("V2");
    expect([...decoder.push(file.subarray(0, 99))]).toEqual([]);
    expect(decoder.header).toBeUndefined();
    expect([...decoder.push(file.subarray(99, 100))]).toEqual([]);
    expect(decoder.header).toMatchObject({ commit: 3, minTxid: 2n });
  });

  it("gives each page a buffer of its own", () => {
    const pages = decodeLtx(goldenFile("V3")).pages.map(({ data }) => data.buffer);
    expect(new Set(pages).size).toBe(3);
    expect(pages.every(({ byteLength }) => byteLength === 512)).toBe(true);
  });

  it("insists that the pages of a piece are taken before anything else happens", () => {
    const decoder = new LtxDecoder();
    decoder.push(goldenFile("V1"));
    expect(() => decoder.push(new Uint8Array(1))).toThrow("all pages of a piece are taken");
    expect(() => decoder.finish()).toThrow("all pages are taken before the file is finished");
  });

  it("takes pieces without bytes anywhere", () => {
    const decoder = new LtxDecoder();
    const file = goldenFile("V1");
    for (const cut of [0, 50, 100, 200, 240, 274]) {
      expect([...decoder.push(file.subarray(cut, cut))]).toEqual([]);
      if (cut === 0) expect([...decoder.push(file)]).toHaveLength(2);
    }
    expect(decoder.finish().pageCount).toBe(2);
  });
});

describe("a decoder that reuses its page", () => {
  it.each(["block", "frame"] as const)(
    "gives the same pages, one after the other: %ss",
    (codec) => {
      const pages = { 1: samplePage("noise", 1, 512), 2: samplePage("words", 3, 512), 3: 5 };
      const file = ltxFile({ commit: 3, pages, codec });
      const decoder = new LtxDecoder({ reusesPages: true });
      const buffers = new Set<Uint8Array>();
      const taken = [];
      for (const { pgno, data } of decoder.push(file)) {
        buffers.add(data);
        taken.push({ pgno, data: data.slice() });
      }
      decoder.finish();
      expect(taken).toEqual(decodeLtx(file).pages);
      expect(buffers.size).toBe(1);
    },
  );
});
