import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  findInWindow,
  readIndexWindow,
  type IndexWindow,
} from "../../../shared/ltx/index-window.ts";
import { indexBlock } from "../../support/ltx-fixtures.ts";

type Entry = readonly [pgno: number, offset: number, size: number];

/** The entries of an index whose pages skip so many numbers and whose frames have these sizes. */
function entriesOf(
  frames: readonly (readonly [skip: number, size: number])[],
  first = 0,
  offset = 100,
): Entry[] {
  let pgno = first;
  let end = offset;
  return frames.map(([skip, size]) => {
    const entry = [(pgno += 1 + skip), end, size] as const;
    end += size;
    return entry;
  });
}

/** Where each entry begins in the block, and behind them where the closing zero stands. */
function startsOf(entries: readonly Entry[]): number[] {
  return entries.reduce(
    (starts, entry) => [...starts, starts.at(-1)! + indexBlock([entry]).length - 1],
    [0],
  );
}

function entriesIn({ pgnos, offsets }: IndexWindow): Entry[] {
  return Array.from(pgnos, (pgno, n) => [pgno, offsets[n], offsets[n + 1] - offsets[n]] as const);
}

/** Frames of databases with pages of any size, whole or changed here and there, at any place in a file. */
const someEntries = fc
  .record({
    sizeMax: fc.constantFrom(8, 60, 512, 4_096, 16_383, 65_800),
    skipMax: fc.constantFrom(0, 0, 1, 50, 100_000),
    first: fc.constantFrom(0, 100, 16_300, 2_097_000),
    offset: fc.constantFrom(100, 16_300, 2 ** 21 - 1_000, 2 ** 28 - 1_000, 2 ** 35 - 1_000),
    count: fc.integer({ min: 1, max: 60 }),
  })
  .chain(({ sizeMax, skipMax, first, offset, count }) =>
    fc
      .array(fc.tuple(fc.nat({ max: skipMax }), fc.integer({ min: 7, max: sizeMax })), {
        minLength: count,
        maxLength: count,
      })
      .map((frames) => entriesOf(frames, first, offset)),
  );

test("a part from anywhere holds entries of the index, all that are whole, or nothing", () => {
  let nothing = 0;
  let synchronised = 0;
  fc.assert(
    fc.property(someEntries, fc.boolean(), fc.nat(), (entries, isEnd, cut) => {
      const block = indexBlock(entries);
      const starts = startsOf(entries);
      const stop = isEnd ? block.length : 1 + (cut % block.length);
      for (let start = 0; start < stop; start++) {
        const part = { start, isAligned: false, isEnd: stop === block.length };
        const window = readIndexWindow(block.subarray(start, stop), part);
        if (!window) {
          nothing++;
          continue;
        }
        synchronised++;
        const first = starts.indexOf(window.start);
        const last = starts.indexOf(window.end);
        expect(first).toBeGreaterThanOrEqual(0);
        expect(last).toBeGreaterThan(first);
        expect(entriesIn(window)).toEqual(entries.slice(first, last));
        // From the first entry whose beginning is certain to the last that is whole.
        expect(first).toBe(starts.findIndex((place) => place > start));
        expect(last).toBe(starts.findLastIndex((place) => place <= stop));
      }
    }),
    { numRuns: 150 },
  );
  expect(synchronised).toBeGreaterThan(10 * nothing);
});

test("a part of 256 bytes is enough, wherever it begins", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(0, 0, 1, 1_000),
      fc.constantFrom(40, 2_000, 30_000, 60_000),
      fc.constantFrom(0, 16_300, 2_097_000),
      fc.infiniteStream(fc.nat({ max: 5_000 })),
      (skipMax, size, first, noise) => {
        const next = () => noise.next().value!;
        const frames = Array.from(
          { length: 200 },
          () => [next() % (skipMax + 1), size + next()] as const,
        );
        const entries = entriesOf(frames, first, 1_000_000);
        const block = indexBlock(entries);
        for (let start = 0; start + 256 < block.length; start++) {
          const part = { start, isAligned: false, isEnd: false };
          expect(readIndexWindow(block.subarray(start, start + 256), part)).toBeDefined();
        }
      },
    ),
    { numRuns: 30 },
  );
});

describe("where the varints can be cut in more than one way", () => {
  // Offset, size and next page number look like an entry too, as sizes grow by page numbers.
  const entries: Entry[] = [[10, 100, 200]];
  while (entries.length < 40) {
    const [pgno, offset, size] = entries.at(-1)!;
    entries.push([pgno + 1, offset + size, size + pgno + 1]);
  }
  const block = indexBlock(entries);

  test("nothing is claimed", () => {
    const part = { start: 1, isAligned: false, isEnd: false };
    expect(readIndexWindow(block.subarray(1, 200), part)).toBeUndefined();
  });

  test("the end of the index tells them apart", () => {
    const part = { start: 1, isAligned: false, isEnd: true };
    const window = readIndexWindow(block.subarray(1), part)!;
    expect(entriesIn(window)).toEqual(entries.slice(1));
  });

  test("and so does a beginning that is known", () => {
    const part = { start: 0, isAligned: true, isEnd: false };
    const window = readIndexWindow(block.subarray(0, 150), part)!;
    expect(entriesIn(window)).toEqual(entries.slice(0, window.pgnos.length));
    expect(window.pgnos.length).toBeGreaterThan(20);
  });
});

describe("a part that cannot be of an index is CORRUPT_PAGE", () => {
  const entries = entriesOf(Array.from({ length: 50 }, () => [0, 300] as const));
  const block = indexBlock(entries);
  const part = { start: 0, isAligned: false, isEnd: false };

  test.each([
    ["a damaged byte", block.with(150, block[150] ^ 0x04)],
    ["a number without an end", new Uint8Array(100).fill(0xff)],
    ["zeros", new Uint8Array(100)],
  ])("%s", (_name, bytes) => {
    expect(() => readIndexWindow(bytes, part)).toThrow(
      expect.objectContaining({
        code: "CORRUPT_PAGE",
        message: expect.stringContaining("the page index is damaged: "),
      }),
    );
  });

  test("an end that closes nothing", () => {
    const end = { ...part, isEnd: true };
    expect(() => readIndexWindow(block.subarray(0, -1), end)).toThrow(/is damaged/);
  });
});

test("a page is found in a window, and one between its pages is not", () => {
  const entries = entriesOf([
    [4, 10],
    [0, 20],
    [7, 30],
  ]);
  const part = { start: 0, isAligned: true, isEnd: true };
  const window = readIndexWindow(indexBlock(entries), part)!;
  expect([5, 6, 14].map((pgno) => findInWindow(window, pgno))).toEqual([
    { offset: 100, size: 10 },
    { offset: 110, size: 20 },
    { offset: 130, size: 30 },
  ]);
  for (const pgno of [1, 4, 7, 13, 15]) expect(findInWindow(window, pgno)).toBeUndefined();
});

test("a part without a whole entry holds nothing", () => {
  const block = indexBlock([[3, 1_000, 500]]);
  const part = { start: 0, isAligned: true, isEnd: false };
  expect(readIndexWindow(block.subarray(0, 3), part)).toBeUndefined();
  expect(readIndexWindow(new Uint8Array(), part)).toBeUndefined();
  // The closing zero alone.
  expect(
    readIndexWindow(block.subarray(-1), { start: 5, isAligned: true, isEnd: true }),
  ).toBeUndefined();
});
