/** The frames that came along with a file's beginning and end, of an index that is shown in several parts. */
import { expect, test } from "vitest";
import type { IndexColumns } from "../../../shared/ltx/kernel.ts";
import { FramesAlong } from "../../../shared/replica/frames-along.ts";

const FRAME_BYTES = 10;

/** Entries of pages in a row, whose frames have ten bytes each and follow one another from the file's start. */
function columns(first: number, count: number): IndexColumns {
  const pgnos = Uint32Array.from({ length: count }, (_, at) => first + at);
  return {
    pgnos,
    offsetsLow: pgnos.map((pgno) => (pgno - 1) * FRAME_BYTES),
    offsetsHigh: new Uint16Array(count),
    sizes: new Uint32Array(count).fill(FRAME_BYTES),
  };
}

test.each([1, 3, 15, 16, 17])(
  "the last sixteen are taken where the last part of the index has %i entries",
  (count) => {
    const bytes = Uint8Array.from({ length: 100 * FRAME_BYTES }, (_, at) => at / FRAME_BYTES + 1);
    const along = new FramesAlong(
      bytes.subarray(0, 35),
      bytes.subarray(-50 * FRAME_BYTES),
      bytes.length,
    );
    along.note(columns(1, 100 - count));
    along.note(columns(100 - count + 1, count));
    const taken: number[] = [];
    along.take((pgno, offset, frame) => {
      expect(frame).toEqual(new Uint8Array(FRAME_BYTES).fill(pgno));
      expect(offset).toBe((pgno - 1) * FRAME_BYTES);
      taken.push(pgno);
    });
    const last = Array.from({ length: 16 }, (_, at) => 85 + at);
    expect(taken.toSorted((a, b) => a - b)).toEqual([1, 2, 3, ...last]);
  },
);
