import * as fc from "fast-check";
import { expect, test } from "vitest";
import { planPageRanges } from "../../../shared/replica/page-ranges.ts";
import { SparsePageMap } from "../../../shared/replica/sparse-page-map.ts";

/** Pages 1, 2, 3 … at these places `[file, offset, size]`. */
function mapOf(places: readonly (readonly [number, number, number])[]): SparsePageMap {
  return new SparsePageMap(
    new Map(places.map(([file, offset, size], index) => [index + 1, { file, offset, size }])),
  );
}

function ranges(
  map: SparsePageMap,
  pgnos: Iterable<number>,
  lengthMax = 10_000,
  gapMax = 0,
): string[] {
  return planPageRanges(map, pgnos, { lengthMax, gapMax }).map(
    ({ file, offset, length, frames }) =>
      `${file}:${offset}+${length} ${frames.map(({ pgno }) => pgno).join(",")}`,
  );
}

test("neighbours in one file are one read, in whatever order they are asked for", () => {
  const map = mapOf([
    [0, 100, 10],
    [0, 110, 20],
    [0, 130, 5],
    [1, 100, 10],
  ]);
  expect(ranges(map, [3, 1, 2])).toEqual(["0:100+35 1,2,3"]);
  expect(ranges(map, [4, 2, 1])).toEqual(["0:100+30 1,2", "1:100+10 4"]);
});

test("a small gap is read along, a larger one is not", () => {
  const map = mapOf([
    [0, 100, 10],
    [0, 114, 10],
  ]);
  expect(ranges(map, [1, 2], 10_000, 4)).toEqual(["0:100+24 1,2"]);
  expect(ranges(map, [1, 2], 10_000, 3)).toEqual(["0:100+10 1", "0:114+10 2"]);
});

test("no read is longer than allowed, but for a frame that is longer by itself", () => {
  const map = mapOf([
    [0, 100, 10],
    [0, 110, 10],
    [0, 120, 50],
    [0, 170, 10],
  ]);
  expect(ranges(map, [1, 2, 3, 4], 20)).toEqual(["0:100+20 1,2", "0:120+50 3", "0:170+10 4"]);
});

test("pages that no file holds are left out", () => {
  expect(ranges(mapOf([[0, 100, 10]]), [0, 1, 2, 3])).toEqual(["0:100+10 1"]);
  expect(ranges(mapOf([]), [1])).toEqual([]);
});

test("every page lies once in one range, and no two ranges could be one", () => {
  const aFile = fc.array(fc.integer({ min: 7, max: 60 }), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(
      fc.array(aFile, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 150 }),
      fc.nat({ max: 80 }),
      fc.infiniteStream(fc.boolean()),
      (files, lengthMax, gapMax, wantsPage) => {
        const places = files.flatMap((sizes, file) => {
          let offset = 100;
          return sizes.map((size) => [file, (offset += size) - size, size] as const);
        });
        const map = mapOf(places);
        const wanted = places.map((_, index) => index + 1).filter(() => wantsPage.next().value);
        const planned = planPageRanges(map, wanted, { lengthMax, gapMax });
        const frames = planned.flatMap((range) => range.frames.map(({ pgno }) => pgno));
        expect(frames.toSorted((a, b) => a - b)).toEqual(wanted);
        for (const { file, offset, length, frames: inRange } of planned) {
          expect(length <= lengthMax || inRange.length === 1).toBe(true);
          for (const frame of inRange) {
            expect(map.get(frame.pgno)).toEqual({ file, offset: frame.offset, size: frame.size });
            expect(frame.offset).toBeGreaterThanOrEqual(offset);
            expect(frame.offset + frame.size).toBeLessThanOrEqual(offset + length);
          }
        }
        for (const [index, next] of planned.slice(1).entries()) {
          const last = planned[index];
          if (last.file !== next.file) continue;
          const isNear = next.offset - (last.offset + last.length) <= gapMax;
          const first = next.frames[0];
          expect(isNear && first.offset + first.size - last.offset <= lengthMax).toBe(false);
        }
      },
    ),
  );
});
