import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LtxFileInfo } from "../../../shared/replica/list-ltx-files.ts";
import { restorableTxids } from "../../../shared/replica/restore-plan.ts";
import { timelineOf } from "../../../shared/replica/timeline.ts";
import { L } from "../../support/replica-fixtures.ts";

const file = (level: number, min: number, max = min): LtxFileInfo => L(level, min, max, 100 * max);

/** Each stretch in one line: level, TXIDs, how many, how far apart. */
function timeline(files: readonly LtxFileInfo[]): string[] {
  return timelineOf(files).map(
    ({ level, first, last, moments, isEveryTxid, stepMs }) =>
      `L${level} ${first.maxTxid}-${last.maxTxid}: ${moments}${isEveryTxid ? ", all" : ""}, ${stepMs}`,
  );
}

const run = (from: number, to: number, span: number, level: number) =>
  Array.from({ length: (to - from + 1) / span }, (_, index) =>
    file(level, from + index * span, from + (index + 1) * span - 1),
  );

describe("the timeline of a replica", () => {
  it("is every TXID where level 0 is whole", () => {
    expect(timeline(run(1, 9, 1, 0))).toEqual(["L0 1-9: 9, all, 100"]);
  });

  it("gets coarser where level 0 is gone, and is a snapshot at its beginning", () => {
    const files = [
      file(9, 1, 10),
      ...run(11, 50, 5, 1),
      ...run(46, 60, 1, 0),
      ...run(11, 50, 20, 2),
    ];
    expect(timeline(files)).toEqual([
      "L9 10-10: 1, all, undefined",
      "L1 15-45: 7, 500",
      "L0 46-60: 15, all, 100",
    ]);
  });

  it("is not divided by a snapshot in its midst", () => {
    const files = [file(0, 1), ...run(2, 31, 5, 1), file(9, 1, 18)];
    expect(timeline(files)).toEqual(["L0 1-1: 1, all, undefined", "L1 6-31: 7, 500"]);
  });

  it("ends before a missing file, and goes on at the next snapshot", () => {
    const files = [...run(1, 4, 1, 0), ...run(6, 9, 1, 0)];
    expect(timeline(files)).toEqual(["L0 1-4: 4, all, 100"]);
    expect(timeline([...files, file(9, 1, 7)])).toEqual(["L0 1-9: 7, 100"]);
    expect(timeline([file(0, 3)])).toEqual([]);
  });

  it("has every moment that can be restored once, whatever files there are", () => {
    const aFile = fc
      .tuple(fc.constantFrom(0, 1, 2, 9), fc.integer({ min: 1, max: 20 }), fc.nat({ max: 6 }))
      .map(([level, min, span]) =>
        file(level, level === 9 ? 1 : min, min + (level > 0 ? span : 0)),
      );
    fc.assert(
      fc.property(fc.uniqueArray(aFile, { maxLength: 20, selector: ({ key }) => key }), (files) => {
        const stretches = timelineOf(files);
        const txids = restorableTxids(files);
        expect(stretches.reduce((sum, { moments }) => sum + moments, 0)).toBe(txids.length);
        for (const [index, { first, last }] of stretches.entries()) {
          expect(txids).toContain(first.maxTxid);
          expect(txids).toContain(last.maxTxid);
          const next = stretches[index + 1];
          if (next) expect(next.first.maxTxid).toBeGreaterThan(last.maxTxid);
        }
      }),
    );
  });
});
