import * as fc from "fast-check";
import { decompressFrame } from "lz4js";
import { hash as xxh32 } from "lz4js/xxh32.js";
import { describe, expect, it } from "vitest";
import { encodeLz4Block, lz4BlockBytesMax } from "../../../shared/ltx/lz4-block.ts";
import {
  decodeLz4Frame,
  encodeLz4Frame,
  Lz4FrameExtent,
  lz4FrameBytesMax,
} from "../../../shared/ltx/lz4-frame.ts";
import {
  bytesFromHex,
  concatBytes,
  goldenFile,
  hexOf,
  PAGE_KINDS,
  patched,
  sameBytes,
  samplePage,
  steppedPage,
} from "../../support/ltx-fixtures.ts";

/** The frame of page 1 in V9, behind the file's header and the page's. */
const GOLDEN_FRAME = goldenFile("V9").slice(106, 106 + 83 - 6);

const PAGE = steppedPage(0x11);

function encode(page: Uint8Array): Uint8Array {
  const target = new Uint8Array(lz4FrameBytesMax(page.length));
  return target.subarray(0, encodeLz4Frame(page, target, 0));
}

function decode(frame: Uint8Array, size: number): Uint8Array {
  const page = new Uint8Array(size);
  decodeLz4Frame(frame, page);
  return page;
}

function word(value: number): Uint8Array {
  return Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);
}

function block(content: Uint8Array): Uint8Array {
  const target = new Uint8Array(lz4BlockBytesMax(content.length));
  return target.slice(0, encodeLz4Block(content, target, 0));
}

interface FramePart {
  readonly bytes: Uint8Array;
  readonly isStored?: boolean;
}

interface FrameFixture {
  readonly flags: number;
  readonly descriptor?: number;
  readonly contentSize?: number;
  readonly parts: readonly FramePart[];
  readonly content: Uint8Array;
}

/** A frame of any form, with checksums where its flags say so. */
function buildFrame({ flags, descriptor = 0x40, contentSize, parts, content }: FrameFixture) {
  const size = contentSize === undefined ? [] : [word(contentSize), word(0)];
  const fields = concatBytes([Uint8Array.of(flags, descriptor), ...size]);
  const body = parts.flatMap(({ bytes, isStored }) => [
    word(isStored ? bytes.length | 0x8000_0000 : bytes.length),
    bytes,
    ...((flags & 0x10) === 0 ? [] : [word(xxh32(0, bytes, 0, bytes.length))]),
  ]);
  return concatBytes([
    word(0x184d2204),
    fields,
    Uint8Array.of(xxh32(0, fields, 0, fields.length) >>> 8),
    ...body,
    word(0),
    ...((flags & 0x04) === 0 ? [] : [word(xxh32(0, content, 0, content.length))]),
  ]);
}

/** Blocks of a page in two halves; the second is one match, which reaches back into the first. */
const HALVES = [{ bytes: block(PAGE.subarray(0, 256)) }, { bytes: block(PAGE.subarray(256)) }];
const REPEATED = concatBytes([PAGE.subarray(0, 256), PAGE.subarray(0, 256)]);
const LINKED = [
  HALVES[0],
  // 251 bytes from 256 back, then 5 literals.
  { bytes: Uint8Array.of(0x0f, 0, 1, 251 - 19, 0x50, ...REPEATED.subarray(507)) },
];

const FORMS: readonly (readonly [string, FrameFixture])[] = [
  [
    "one block and no content checksum",
    { flags: 0x60, parts: [{ bytes: block(PAGE) }], content: PAGE },
  ],
  ["two blocks", { flags: 0x64, parts: HALVES, content: PAGE }],
  ["two blocks with checksums", { flags: 0x74, parts: HALVES, content: PAGE }],
  ["a block that reaches into the one before", { flags: 0x44, parts: LINKED, content: REPEATED }],
  ["its content's size", { flags: 0x6c, contentSize: 512, parts: HALVES, content: PAGE }],
  ["blocks of up to 4 MiB", { flags: 0x64, descriptor: 0x70, parts: HALVES, content: PAGE }],
  [
    "a stored block behind a compressed one",
    { flags: 0x74, parts: [HALVES[0], { bytes: PAGE.slice(256), isStored: true }], content: PAGE },
  ],
];

describe("encodeLz4Frame", () => {
  it("writes what Litestream wrote, all around the block", () => {
    const frame = encode(PAGE);
    const length = frame[7];
    expect(hexOf(frame.subarray(0, 7))).toBe(hexOf(GOLDEN_FRAME.subarray(0, 7)));
    expect(hexOf(frame.subarray(7, 11))).toBe(hexOf(word(length)));
    expect(frame).toHaveLength(7 + 4 + length + 8);
    expect(hexOf(frame.subarray(11 + length))).toBe(hexOf(GOLDEN_FRAME.subarray(-8)));
  });

  it("stores a page that does not compress", () => {
    const page = samplePage("noise", 1, 4096);
    const frame = encode(page);
    expect(hexOf(frame.subarray(7, 11))).toBe("00100080");
    expect(frame).toHaveLength(7 + 4 + 4096 + 8);
    expect(sameBytes(decode(frame, 4096), page)).toBe(true);
  });

  it("gives a frame that decodes to its page, here and in lz4js", () => {
    const sizes = fc.constantFrom(512, 4096, 65_536);
    fc.assert(
      fc.property(fc.constantFrom(...PAGE_KINDS), fc.integer(), sizes, (kind, seed, size) => {
        const page = samplePage(kind, seed, size);
        const frame = encode(page);
        expect(sameBytes(decode(frame, size), page)).toBe(true);
        const second = new Uint8Array(size);
        expect(decompressFrame(frame, second)).toBe(size);
        expect(sameBytes(second, page)).toBe(true);
      }),
    );
  });
});

describe("decodeLz4Frame", () => {
  it("decodes the frame that Litestream wrote", () => {
    expect(decode(GOLDEN_FRAME, 512)).toEqual(PAGE);
  });

  it.each(FORMS)("decodes a frame with %s", (_name, fixture) => {
    expect(decode(buildFrame(fixture), 512)).toEqual(fixture.content);
  });

  const one = [{ bytes: block(PAGE) }];
  const stored = [{ bytes: new Uint8Array(513), isStored: true }];
  it.each([
    ["less than a header", GOLDEN_FRAME.subarray(0, 6), "it ends too early"],
    ["another magic number", patched(GOLDEN_FRAME, 0, 5), "it does not begin as a frame does"],
    ["another version", patched(GOLDEN_FRAME, 4, 0xa4), "its flags 0xa4 are not known here"],
    ["the reserved flag", patched(GOLDEN_FRAME, 4, 0x66), "its flags 0x66 are not known here"],
    ["a dictionary", patched(GOLDEN_FRAME, 4, 0x65), "it needs a dictionary"],
    [
      "reserved bits",
      patched(GOLDEN_FRAME, 5, 0x41),
      "its block descriptor 0x41 is not known here",
    ],
    ["tiny blocks", patched(GOLDEN_FRAME, 5, 0x30), "its block descriptor 0x30 is not known here"],
    ["a damaged header", patched(GOLDEN_FRAME, 6, 0xa8), "the checksum of its header is wrong"],
    [
      "a header cut in its content size",
      buildFrame({ flags: 0x6c, contentSize: 512, parts: one, content: PAGE }).subarray(0, 12),
      "it ends too early",
    ],
    [
      "another content size",
      buildFrame({ flags: 0x6c, contentSize: 511, parts: one, content: PAGE }),
      "it promises another size than 512 bytes",
    ],
    ["a cut block length", GOLDEN_FRAME.subarray(0, 10), "it ends too early"],
    ["a cut block", GOLDEN_FRAME.subarray(0, 40), "it ends too early"],
    ["no end mark", GOLDEN_FRAME.subarray(0, -8), "it ends too early"],
    ["a cut content checksum", GOLDEN_FRAME.subarray(0, -1), "it ends too early"],
    [
      "a cut block checksum",
      buildFrame({ flags: 0x74, parts: one, content: PAGE }).subarray(
        0,
        11 + one[0].bytes.length + 3,
      ),
      "it ends too early",
    ],
    [
      "a damaged block checksum",
      patched(buildFrame({ flags: 0x74, parts: one, content: PAGE }), 11 + one[0].bytes.length, 0),
      "the checksum of a block is wrong",
    ],
    ["damaged content", patched(GOLDEN_FRAME, 12, 0x10), "the checksum of its content is wrong"],
    ["bytes behind it", concatBytes([GOLDEN_FRAME, word(0)]), "4 bytes follow it"],
    [
      "less than a page",
      buildFrame({ flags: 0x64, parts: [HALVES[0]], content: PAGE }),
      "it holds 256 bytes, not 512",
    ],
    [
      "a stored block larger than a page",
      buildFrame({ flags: 0x64, parts: stored, content: PAGE }),
      "it holds more than 512 bytes",
    ],
  ])("refuses %s", (_name, frame, message) => {
    expect(() => decode(frame, 512)).toThrow(
      expect.objectContaining({
        code: "CORRUPT_PAGE",
        message: `the LZ4 frame is damaged: ${message}`,
      }),
    );
  });

  it("refuses a block that reaches into the one before where the flags say that none does", () => {
    const frame = buildFrame({ flags: 0x64, parts: LINKED, content: REPEATED });
    expect(() => decode(frame, 512)).toThrow("a match reaches back before its start");
  });

  it("refuses a frame with any one bit flipped, unless the page stays the same", () => {
    const unharmed: number[] = [];
    for (let bit = 0; bit < GOLDEN_FRAME.length * 8; bit++) {
      const damaged = GOLDEN_FRAME.slice();
      damaged[bit >> 3] ^= 1 << (bit & 7);
      try {
        expect(decode(damaged, 512)).toEqual(PAGE);
        unharmed.push(bit >> 3);
      } catch (error) {
        expect(error).toMatchObject({ code: "CORRUPT_PAGE" });
      }
    }
    // The distance of the last match, which copies from within a run, and the match length beside
    // the last literals, which no match follows.
    expect([...new Set(unharmed)]).toEqual([52, 54]);
  });
});

/** Feeds bytes as they are asked for; returns how many the frame took and how often it asked. */
function measure(bytes: Uint8Array, start: number, pageSize: number) {
  const extent = new Lz4FrameExtent();
  extent.reset(pageSize);
  let steps = 1;
  for (; !extent.advance(bytes.subarray(0, start + extent.needed), start); steps++) {
    if (start + extent.needed > bytes.length) throw new Error("it asks for more than there is");
  }
  return { bytes: extent.needed, steps };
}

describe("Lz4FrameExtent", () => {
  it.each(FORMS)("finds the end of a frame with %s among other bytes", (_name, fixture) => {
    const frame = buildFrame(fixture);
    const bytes = concatBytes([Uint8Array.of(1, 2, 3), frame, Uint8Array.of(4, 0x22, 0x4d, 0x18)]);
    expect(measure(bytes, 3, 512).bytes).toBe(frame.length);
  });

  it("looks at each block once, also where a page comes in single bytes", () => {
    const page = samplePage("noise", 1, 512);
    const parts = Array.from(page, (byte) => ({ bytes: Uint8Array.of(byte), isStored: true }));
    const frame = buildFrame({ flags: 0x74, parts, content: page });
    expect(measure(frame, 0, 512)).toEqual({ bytes: frame.length, steps: 512 + 3 });
    expect(decode(frame, 512)).toEqual(page);
  });

  it.each([
    ["another magic number", "05224d18644073", "it does not begin as a frame does"],
    ["a block larger than any of a page", "04224d186440a7000000ff", "it is larger than its page"],
    [
      "blocks without end",
      `04224d186440a7${"0100000000".repeat(2000)}`,
      "it is larger than its page",
    ],
  ])("refuses %s before its end is there", (_name, hex, message) => {
    expect(() => measure(bytesFromHex(hex), 0, 512)).toThrow(
      expect.objectContaining({ code: "CORRUPT_PAGE", message: expect.stringContaining(message) }),
    );
  });
});
