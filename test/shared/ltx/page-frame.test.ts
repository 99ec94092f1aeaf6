import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodePageFrame,
  encodePageFrame,
  type PageCodec,
  PageFrameExtent,
  pageFrameBytesMax,
  pageFrameHead,
} from "../../../shared/ltx/page-frame.ts";
import {
  concatBytes,
  goldenFile,
  hexOf,
  PAGE_KINDS,
  patched,
  rawFrame,
  sameBytes,
  samplePage,
  steppedPage,
} from "../../support/ltx-fixtures.ts";

/** The frames of page 1 in V1 and in V9, as those files' indexes give them. */
const BLOCK_FRAME = goldenFile("V1").slice(100, 168);
const LZ4_FRAME = goldenFile("V9").slice(100, 183);

const CODECS: readonly PageCodec[] = ["block", "frame"];

const samples = fc.record({
  codec: fc.constantFrom(...CODECS),
  pgno: fc.integer({ min: 1, max: 0xffff_ffff }),
  kind: fc.constantFrom(...PAGE_KINDS),
  seed: fc.integer(),
  pageSize: fc.integer({ min: 9, max: 16 }).map((power) => 2 ** power),
});

describe("decodePageFrame", () => {
  it.each([
    ["an LZ4 block", BLOCK_FRAME],
    ["an LZ4 frame", LZ4_FRAME],
  ])("reads a page that Litestream wrote as %s", (_name, frame) => {
    expect(decodePageFrame(frame, 512)).toEqual({ pgno: 1, page: steppedPage(0x11) });
  });

  it("reads back whatever encodePageFrame wrote, at every page size", () => {
    fc.assert(
      fc.property(samples, ({ codec, pgno, kind, seed, pageSize }) => {
        const page = samplePage(kind, seed, pageSize);
        const { bytes } = rawFrame(pgno, page, codec);
        expect(bytes.length).toBeLessThanOrEqual(pageFrameBytesMax(pageSize));
        const decoded = decodePageFrame(bytes, pageSize);
        expect(decoded.pgno).toBe(pgno);
        expect(sameBytes(decoded.page, page)).toBe(true);
      }),
    );
  });

  it("reads blocks that are larger than their page", () => {
    const page = samplePage("noise", 7, 4096);
    const { bytes } = rawFrame(3, page, "block");
    expect(hexOf(bytes.subarray(0, 10))).toBe("00000003000100001012");
    expect(sameBytes(decodePageFrame(bytes, 4096).page, page)).toBe(true);
  });

  it("hands out a page of its own, not a view of the frame", () => {
    const { page } = decodePageFrame(BLOCK_FRAME, 512);
    expect(page.buffer.byteLength).toBe(512);
  });

  it.each([
    ["5 bytes", BLOCK_FRAME.subarray(0, 5), "a page frame of 5 bytes has no header"],
    ["page number 0", patched(BLOCK_FRAME, 3, 0), "a page frame has page number 0"],
    [
      "flag 2",
      patched(BLOCK_FRAME, 5, 2),
      "page 1 cannot be read: the flags 0x2 are not known here",
    ],
    ["flag 256", patched(BLOCK_FRAME, 4, 1), "the flags 0x101 are not known here"],
    ["a cut size", BLOCK_FRAME.subarray(0, 9), "its frame has 9 bytes, which is not what its size"],
    [
      "another size",
      patched(BLOCK_FRAME, 9, 0x3b),
      "its frame has 68 bytes, which is not what its",
    ],
    ["a cut block", BLOCK_FRAME.subarray(0, 67), "its frame has 67 bytes, which is not what its"],
    [
      "a damaged block",
      patched(BLOCK_FRAME, 12, 0),
      "page 1 cannot be read: the LZ4 block is damaged",
    ],
    [
      "a damaged frame",
      patched(LZ4_FRAME, 12, 1),
      "page 1 cannot be read: the LZ4 frame is damaged",
    ],
    ["a block taken for a frame", patched(BLOCK_FRAME, 5, 0), "it does not begin as a frame does"],
  ])("refuses %s", (_name, frame, message) => {
    expect(() => decodePageFrame(frame, 512)).toThrow(
      expect.objectContaining({ code: "CORRUPT_PAGE", message: expect.stringContaining(message) }),
    );
  });

  it("refuses a page of another size than the file's", () => {
    expect(() => decodePageFrame(BLOCK_FRAME, 1024)).toThrow("it holds 512 bytes, not 1024");
    expect(() => decodePageFrame(LZ4_FRAME, 1024)).toThrow("it holds 512 bytes, not 1024");
  });
});

describe("encodePageFrame", () => {
  it("marks which codec it used, and nothing else", () => {
    const target = new Uint8Array(pageFrameBytesMax(512)).fill(0xee);
    encodePageFrame({ pgno: 0x01020304, page: steppedPage(1) }, target, "frame");
    expect(hexOf(target.subarray(0, 10))).toBe("01020304000004224d18");
    encodePageFrame({ pgno: 0xffffffff, page: steppedPage(1) }, target, "block");
    expect(hexOf(target.subarray(0, 6))).toBe("ffffffff0001");
  });
});

describe("pageFrameHead", () => {
  it("is ten bytes before a block, six before a frame", () => {
    expect(hexOf(pageFrameHead(BLOCK_FRAME))).toBe("0000000100010000003a");
    expect(hexOf(pageFrameHead(LZ4_FRAME))).toBe("000000010000");
  });
});

describe("PageFrameExtent", () => {
  it("finds the ends of frames, one behind the other, from no more bytes than it asked for", () => {
    fc.assert(
      fc.property(fc.array(samples, { minLength: 1, maxLength: 5 }), (list) => {
        const frames = list.map(({ pgno, kind, seed, codec }) =>
          rawFrame(pgno, samplePage(kind, seed, 512), codec),
        );
        const bytes = concatBytes(frames.map((frame) => frame.bytes));
        const extent = new PageFrameExtent(512);
        let start = 0;
        for (const frame of frames) {
          extent.reset();
          while (!extent.advance(bytes.subarray(0, start + extent.needed), start));
          expect(extent.needed).toBe(frame.bytes.length);
          start += extent.needed;
        }
      }),
    );
  });

  it.each([
    ["unknown flags", patched(BLOCK_FRAME, 5, 4), "page 1 cannot be read: the flags 0x4"],
    [
      "an empty block",
      patched(BLOCK_FRAME, 9, 0),
      "a block of 0 bytes cannot be that of a page of 512",
    ],
    ["a block too large", patched(BLOCK_FRAME, 8, 2, 19), "a block of 531 bytes cannot be that of"],
    ["no LZ4 frame", patched(LZ4_FRAME, 6, 5), "page 1 cannot be read: the LZ4 frame is damaged"],
  ])("refuses %s before the payload is there", (_name, frame, message) => {
    const extent = new PageFrameExtent(512);
    expect(() => {
      while (!extent.advance(frame, 0)) expect(extent.needed).toBeLessThanOrEqual(frame.length);
    }).toThrow(
      expect.objectContaining({ code: "CORRUPT_PAGE", message: expect.stringContaining(message) }),
    );
  });

  it("accepts the largest block that a page can have", () => {
    const extent = new PageFrameExtent(512);
    const header = patched(BLOCK_FRAME.subarray(0, 10), 8, 2, 18);
    expect(extent.advance(header, 0)).toBe(false);
    expect(extent.advance(header, 0)).toBe(false);
    expect(extent.needed).toBe(10 + 530);
  });
});
