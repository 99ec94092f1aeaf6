import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeLtx, LtxDecoder } from "../../../shared/ltx/decoder.ts";
import { encodeLtx, LtxEncoder } from "../../../shared/ltx/encoder.ts";
import { type LtxHeader } from "../../../shared/ltx/header.ts";
import { lockPgno } from "../../../shared/sqlite/database-header.ts";
import {
  concatBytes,
  GOLDEN,
  goldenFile,
  type GoldenName,
  hexOf,
  ltxFile,
  ltxHeader,
  PAGE_KINDS,
  sameBytes,
  samplePage,
  steppedPage,
} from "../../support/ltx-fixtures.ts";

const plainNames = (Object.keys(GOLDEN) as GoldenName[]).filter((name) => name !== "V4");

const codecs = fc.constantFrom("block" as const, "frame" as const);
const pageSizes = fc.integer({ min: 9, max: 16 }).map((power) => 2 ** power);
const kinds = fc.constantFrom(...PAGE_KINDS);

describe("encodeLtx", () => {
  it.each(plainNames)("writes %s anew so that it decodes to the same, in both codecs", (name) => {
    const { header, pages } = decodeLtx(goldenFile(name));
    for (const codec of ["block", "frame"] as const) {
      const file = concatBytes(encodeLtx(header, pages, { codec }));
      expect(decodeLtx(file)).toMatchObject({ header, pages });
    }
  });

  it("writes header, terminator, index and trailer of a file without pages as the reference does", () => {
    const { header } = decodeLtx(goldenFile("V6"));
    expect(hexOf(concatBytes(encodeLtx(header, [])))).toBe(GOLDEN.V6.hex);
  });

  it("decodes to its pages: snapshots of every page size, in both codecs", () => {
    const pages = fc.array(fc.tuple(kinds, fc.integer()), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(pageSizes, codecs, pages, (pageSize, codec, samples) => {
        const list = samples.map(([kind, seed]) => samplePage(kind, seed, pageSize));
        const record = Object.fromEntries(list.map((page, i) => [i + 1, page]));
        const file = ltxFile({ pageSize, codec, commit: list.length, pages: record });
        const decoded = decodeLtx(file);
        expect(decoded.sizeBytes).toBe(file.length);
        expect(decoded.pages.map(({ pgno }) => pgno)).toEqual(list.map((_, i) => i + 1));
        expect(decoded.pages.every(({ data }, i) => sameBytes(data, list[i]))).toBe(true);
      }),
    );
  });

  it("decodes to its pages: any part of a database, up to the largest page number", () => {
    const pgnos = fc.uniqueArray(fc.integer({ min: 1, max: 0xffff_ffff }), { maxLength: 12 });
    fc.assert(
      fc.property(
        pageSizes,
        codecs,
        pgnos,
        fc.integer({ min: 2 }),
        (pageSize, codec, all, txid) => {
          const list = all.filter((pgno) => pgno !== lockPgno(pageSize)).sort((a, b) => a - b);
          const pages = list.map((pgno) => ({ pgno, data: samplePage("words", pgno, pageSize) }));
          const header = ltxHeader({ pageSize, commit: list.at(-1) ?? 1, minTxid: txid });
          const decoded = decodeLtx(concatBytes(encodeLtx(header, pages, { codec })));
          expect(decoded.pages.map(({ pgno }) => pgno)).toEqual(list);
          expect(decoded.pages.every(({ data }, i) => sameBytes(data, pages[i].data))).toBe(true);
        },
      ),
    );
  });

  it("answers what it wrote", () => {
    const header = ltxHeader({ commit: 2 });
    const chunks = encodeLtx(
      header,
      [1, 2].map((pgno) => ({ pgno, data: steppedPage(pgno) })),
    );
    const written: Uint8Array[] = [];
    let result = chunks.next();
    for (; !result.done; result = chunks.next()) written.push(result.value);
    const { pages: _, ...decoded } = decodeLtx(concatBytes(written));
    expect(result.value).toEqual(decoded);
  });

  it("takes no more pages than fill the piece that is asked for", () => {
    const pageSize = 4096;
    let taken = 0;
    let takenBytes = 0;
    function* pages() {
      for (let pgno = 1; pgno <= 1000; pgno++) {
        taken++;
        yield { pgno, data: samplePage("noise", pgno, pageSize) };
      }
    }
    for (const piece of encodeLtx(ltxHeader({ pageSize, commit: 1000 }), pages())) {
      takenBytes += piece.length;
      // One page is under way: it had no room in the piece that came out.
      expect(taken * pageSize).toBeLessThan(takenBytes + 2 * pageSize);
      expect(piece.length).toBeLessThanOrEqual(1024 * 1024);
    }
    expect(taken).toBe(1000);
  });

  it("gives a small file in one piece, and a piece that came out stays as it is", () => {
    const header = ltxHeader({ commit: 3 });
    const pages = [1, 2, 3].map((pgno) => ({ pgno, data: steppedPage(pgno) }));
    const pieces = [...encodeLtx(header, pages)];
    expect(pieces).toHaveLength(1);
    const before = pieces[0].slice();
    expect([...encodeLtx(ltxHeader({ commit: 3, minTxid: 7 }), pages)]).toHaveLength(1);
    expect(pieces[0]).toEqual(before);
  });

  it("needs nothing of a page any more when the next is taken", () => {
    const one = new Uint8Array(512);
    function* pages() {
      for (let pgno = 1; pgno <= 3; pgno++) yield { pgno, data: one.fill(pgno) };
    }
    const { pages: decoded } = decodeLtx(concatBytes(encodeLtx(ltxHeader({ commit: 3 }), pages())));
    expect(decoded.map(({ data }) => data[511])).toEqual([1, 2, 3]);
  });

  it("writes blocks where no codec is named", () => {
    expect(hexOf(ltxFile({ commit: 1, pages: { 1: 0 } }).subarray(100, 106))).toBe("000000010001");
  });
});

/** Encodes and decodes a snapshot of `commit` pages of zeros, which needs no memory to speak of. */
function streamZeros(pageSize: number, commit: number) {
  const encoder = new LtxEncoder(ltxHeader({ pageSize, commit }));
  const decoder = new LtxDecoder();
  const zeros = new Uint8Array(pageSize);
  const lock = lockPgno(pageSize);
  const pgnos: number[] = [];
  const decode = (bytes: Uint8Array | undefined) => {
    for (const { pgno } of bytes ? decoder.push(bytes) : []) pgnos.push(pgno);
  };
  for (let pgno = 1; pgno <= commit; pgno++) if (pgno !== lock) decode(encoder.page(pgno, zeros));
  for (const bytes of encoder.finish()) decode(bytes);
  return { pgnos, summary: decoder.finish() };
}

describe("a snapshot of more than 1 GiB", () => {
  it("passes over the lock page and goes on behind it", () => {
    const { pgnos, summary } = streamZeros(65_536, 16_386);
    expect(summary.pageCount).toBe(16_385);
    expect(pgnos.slice(-3)).toEqual([16_383, 16_384, 16_386]);
  });

  it("is complete without the lock page where that is the last one", () => {
    expect(streamZeros(65_536, 16_385).pgnos.at(-1)).toBe(16_384);
  });
});

describe("LtxEncoder refuses", () => {
  const page = steppedPage(0);
  const encode = (header: LtxHeader, pgnos: readonly number[]) => () =>
    concatBytes(
      encodeLtx(
        header,
        pgnos.map((pgno) => ({ pgno, data: page })),
      ),
    );
  const snapshot = ltxHeader({ commit: 3 });
  const delta = ltxHeader({ minTxid: 2, commit: 3 });

  it.each<[string, LtxHeader, readonly number[], string]>([
    ["pages that go back", delta, [2, 1], "page 1 follows page 2"],
    ["a page twice", delta, [2, 2], "page 2 follows page 2"],
    ["page 0", delta, [0], "page 0 follows page 0"],
    ["a page beyond the end", delta, [1, 4], "page 4 lies beyond the end of the database, page 3"],
    ["a snapshot without page 1", snapshot, [2], "page 1 is missing from a snapshot"],
    ["a snapshot with a hole", snapshot, [1, 3], "page 2 is missing from a snapshot"],
    ["a snapshot that ends early", snapshot, [1, 2], "page 3 is missing from a snapshot"],
    ["a snapshot without pages", snapshot, [], "page 1 is missing from a snapshot"],
    [
      "a page of another size",
      { ...delta, pageSize: 1024 },
      [1],
      "page 1 has 512 bytes, its file's",
    ],
    ["a database without pages", { ...delta, commit: 0 }, [], "a database without pages cannot be"],
    ["a header against the rules", { ...delta, walSize: 5 }, [], "it has a WAL size of 5 without"],
    [
      "the lock page",
      { ...delta, commit: 0xffff_ffff },
      [lockPgno(512)],
      "page 2097153 is SQLite's lock page, which is never stored",
    ],
  ])("%s", (_name, header, pgnos, message) => {
    expect(encode(header, pgnos)).toThrow(
      expect.objectContaining({ code: "CORRUPT_PAGE", message: expect.stringContaining(message) }),
    );
  });

  it("to be used out of order, or for files that carry the database's checksum", () => {
    expect(() => new LtxEncoder(ltxHeader({ flags: 0 }))).toThrow("writes no checksums");
    const encoder = new LtxEncoder(delta);
    expect(() => encoder.summary).toThrow("the summary is known when the file is finished");
    encoder.finish();
    expect(() => encoder.finish()).toThrow("a file is finished once");
    expect(() => encoder.page(1, page)).toThrow("pages come before the file is finished");
  });
});
