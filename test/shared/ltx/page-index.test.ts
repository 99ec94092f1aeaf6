import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  PageIndexMatcher,
  PageIndexWriter,
  readPageIndex,
  readPageIndexColumns,
} from "../../../shared/ltx/page-index.ts";
import { readUvarint } from "../../../shared/ltx/varint.ts";
import { concatBytes, indexBlock, patched } from "../../support/ltx-fixtures.ts";

type Entry = [pgno: number, offset: number, size: number];

function read(block: Uint8Array): { entries: Entry[]; end: number } {
  const entries: Entry[] = [];
  const end = readPageIndex(block, (...entry) => void entries.push(entry));
  return { entries, end };
}

function refuse(what: string): never {
  throw new Error(`the page index is damaged: ${what}`);
}

/** The same, varint after varint. */
function readPlainly(block: Uint8Array): Entry[] {
  const cursor = { bytes: block, offset: 0 };
  const entries: Entry[] = [];
  let [previous, end] = [0, 100];
  for (let pgno = readUvarint(cursor); pgno !== 0; pgno = readUvarint(cursor)) {
    const [offset, size] = [readUvarint(cursor), readUvarint(cursor)];
    if (pgno <= previous) refuse(`page ${pgno} follows page ${previous}`);
    if (pgno > 0xffff_ffff) refuse(`${pgno} is larger than any page number`);
    if (offset !== end) refuse(`the frame of page ${pgno} is at byte ${offset}, not at ${end}`);
    if (size >= 2 ** 32)
      refuse(`the frame of page ${pgno} is larger than any, or further than any file is long`);
    entries.push([pgno, offset, size]);
    [previous, end] = [pgno, offset + size];
  }
  const extra = block.length - cursor.offset;
  if (extra !== 0) refuse(`${extra} bytes follow its terminator`);
  return entries;
}

function readColumns(block: Uint8Array): { entries: Entry[]; end: number } {
  const entries: Entry[] = [];
  const end = readPageIndexColumns(block, ({ pgnos, offsetsLow, offsetsHigh, sizes }) => {
    for (const [at, pgno] of pgnos.entries()) {
      entries.push([pgno, offsetsHigh[at] * 2 ** 32 + offsetsLow[at], sizes[at]]);
    }
  });
  return { entries, end };
}

function outcome<T>(reading: () => T): T | string {
  try {
    return reading();
  } catch (error) {
    return (error as Error).message;
  }
}

/** Entries for the frames of ascending pages, of the given sizes, one behind the other. */
function chain(frames: readonly { gap: number; size: number }[]): Entry[] {
  let [pgno, offset] = [0, 100];
  return frames.map(({ gap, size }) => {
    const entry: Entry = [(pgno += gap), offset, size];
    offset += size;
    return entry;
  });
}

function write(entries: readonly Entry[]): readonly Uint8Array[] {
  const writer = new PageIndexWriter();
  for (const [pgno, offset, size] of entries) {
    expect(writer.frameOffset).toBe(offset);
    writer.append(pgno, size);
  }
  expect(writer.pageCount).toBe(entries.length);
  return writer.finish();
}

const chains = fc
  .array(
    fc.record({
      gap: fc.integer({ min: 1, max: 1000 }),
      size: fc.integer({ min: 11, max: 70_000 }),
    }),
    { maxLength: 200, size: "max" },
  )
  .map(chain);

const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  // Few of any bytes are varints of many bytes, and few of those end well.
  fc.array(fc.constantFrom(0, 1, 36, 100, 0x7f, 0x80, 0x81, 0xff), { maxLength: 40 }),
  chains.map((entries) => concatBytes(write(entries)).subarray(0, -8)),
  // A page twice now and then.
  fc
    .array(fc.record({ gap: fc.constantFrom(0, 1, 1, 1), size: fc.constant(40) }), { maxLength: 4 })
    .map((frames) => indexBlock(chain(frames))),
);

describe("readPageIndex", () => {
  it("reads the index of V1", () => {
    expect(read(Uint8Array.of(1, 100, 68, 2, 0xa8, 1, 68, 0))).toEqual({
      entries: [
        [1, 100, 68],
        [2, 168, 68],
      ],
      end: 236,
    });
  });

  it("reads the index of a file without pages", () => {
    expect(read(Uint8Array.of(0))).toEqual({ entries: [], end: 100 });
  });

  it("reads back whatever PageIndexWriter wrote, without its length", () => {
    fc.assert(
      fc.property(chains, (entries) => {
        const written = concatBytes(write(entries));
        expect(read(written.subarray(0, -8)).entries).toEqual(entries);
        const length = new DataView(written.buffer).getBigUint64(written.length - 8);
        expect(length).toBe(BigInt(written.length - 8));
      }),
    );
  });

  it("reads any bytes as whoever reads varint after varint does, to the same sentence", () => {
    fc.assert(
      fc.property(anyBytes, (block) => {
        const whole = Uint8Array.from(block);
        const ours = outcome(() => read(whole).entries);
        expect(ours).toEqual(outcome(() => readPlainly(whole)));
      }),
      { numRuns: 2_000 },
    );
  });

  it("is read in columns to the same entries, end and sentence", () => {
    const long = fc
      .array(fc.record({ gap: fc.constantFrom(1, 1, 1, 40), size: fc.constantFrom(50, 70_000) }), {
        minLength: 4_000,
        maxLength: 9_000,
        size: "max",
      })
      .map((frames) => concatBytes(write(chain(frames))).subarray(0, -8));
    const damages = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 1 });
    const bytes = fc.oneof({ arbitrary: anyBytes, weight: 20 }, { arbitrary: long, weight: 1 });
    fc.assert(
      fc.property(bytes, damages, (block, damaged) => {
        const whole = Uint8Array.from(block);
        for (const [place, value] of damaged) if (whole.length) whole[place % whole.length] = value;
        const ours = outcome(() => readColumns(whole));
        expect(ours).toEqual(outcome(() => read(whole)));
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ["no bytes", new Uint8Array(0), "the varint at byte 0 runs past its block"],
    ["no terminator", Uint8Array.of(1, 100, 36), "the varint at byte 3 runs past its block"],
    [
      "pages that go back",
      indexBlock([
        [2, 100, 36],
        [1, 136, 36],
      ]),
      "page 1 follows page 2",
    ],
    [
      "a page twice",
      indexBlock([
        [2, 100, 36],
        [2, 136, 36],
      ]),
      "page 2 follows page 2",
    ],
    ["a page beyond any", indexBlock([[2 ** 32, 100, 36]]), "4294967296 is larger than any page"],
    ["a first frame elsewhere", indexBlock([[1, 99, 36]]), "page 1 is at byte 99, not at 100"],
    [
      "a gap",
      indexBlock([
        [1, 100, 36],
        [2, 137, 36],
      ]),
      "page 2 is at byte 137, not at 136",
    ],
    ["bytes behind it", Uint8Array.of(0, 9), "1 bytes follow its terminator"],
  ])("refuses %s", (_name, block, message) => {
    expect(() => read(block)).toThrow(
      expect.objectContaining({ code: "CORRUPT_PAGE", message: expect.stringContaining(message) }),
    );
  });
});

describe("PageIndexWriter", () => {
  it("keeps a large index in few pieces, and little more than its bytes", () => {
    const writer = new PageIndexWriter();
    for (let pgno = 1; pgno <= 262_144; pgno++) writer.append(pgno, 4000);
    const pieces = writer.finish();
    const used = pieces.reduce((sum, { length }) => sum + length, 0);
    const kept = pieces.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
    expect(pieces.length).toBeLessThan(100);
    expect(used).toBeLessThan(11 * 262_144);
    expect(kept).toBeLessThan(used + 128 * 1024);
  });
});

describe("PageIndexMatcher", () => {
  it("accepts the same index in any pieces and stops behind it", () => {
    fc.assert(
      fc.property(chains, fc.integer({ min: 1, max: 999 }), (entries, step) => {
        const expected = write(entries);
        const bytes = concatBytes([...expected, Uint8Array.of(7, 7, 7)]);
        const matcher = new PageIndexMatcher(expected);
        let matched = 0;
        while (!matcher.isDone) matched += matcher.match(bytes.subarray(matched, matched + step));
        expect(matched).toBe(bytes.length - 3);
        expect(matcher.match(bytes.subarray(matched))).toBe(0);
      }),
    );
  });

  const expected = write(chain([1, 1, 1].map((gap) => ({ gap, size: 68 }))));
  const index = concatBytes(expected);
  it.each([
    ["a page number", 3, "its entry for page 2 does not match the frame"],
    ["an offset", 1, "its entry for page 1 does not match the frame"],
    ["a size", 10, "its entry for page 3 does not match the frame"],
    ["the terminator", 11, "its end or its length does not match the frames"],
    ["the length", 19, "its end or its length does not match the frames"],
  ])("says where %s differs", (_name, offset, message) => {
    expect(() => new PageIndexMatcher(expected).match(patched(index, offset, 0x7f))).toThrow(
      expect.objectContaining({ code: "CORRUPT_PAGE", message: expect.stringContaining(message) }),
    );
  });

  it("says where an index of several pieces differs", () => {
    const entries = chain(Array.from({ length: 500 }, () => ({ gap: 1, size: 68 })));
    const pieces = write(entries);
    expect(pieces.length).toBeGreaterThan(2);
    const bytes = concatBytes(pieces);
    bytes[pieces[0].length - 1] ^= 1;
    const last = read(concatBytes([pieces[0], Uint8Array.of(0)])).entries.length;
    expect(() => new PageIndexMatcher(pieces).match(bytes)).toThrow(`its entry for page ${last} `);
  });
});
