import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  COMPACTION_FILES_MAX,
  planCompaction,
} from "../../../replicator/compaction/plan-compaction.ts";
import type { LtxFileInfo } from "../../../shared/replica/list-ltx-files.ts";
import { L, nameOf, txid } from "../../support/replica-fixtures.ts";

const file = (min: number, max = min): LtxFileInfo => L(0, min, max, 1_000 * max);

/** What is merged, or what is said instead, in one line. */
function planned(
  newest: number | undefined,
  sources: readonly LtxFileInfo[],
  snapshots: readonly number[] = [],
): string {
  const plan = planCompaction({
    newestTxid: newest === undefined ? undefined : txid(newest),
    sources,
    snapshots: snapshots.map(txid),
  });
  if (plan.kind === "merge") return plan.files.map(nameOf).join(" ");
  return plan.kind === "gap" ? `gap ${plan.after ?? "-"}..${plan.before}` : plan.kind;
}

describe("planCompaction", () => {
  it.each([
    ["nothing where nothing is", undefined, [], [], "nothing"],
    ["nothing where all is merged", 3, [file(2), file(3)], [], "nothing"],
    ["no whole database", undefined, [file(1)], [], "nothing"],
    ["what follows it in an empty level", undefined, [file(1), file(2)], [], "L0[2]"],
    ["what follows it after a gap", 3, [file(1, 9), file(10)], [], "L0[10]"],
    ["what follows a snapshot", undefined, [file(2), file(3)], [1], "L0[2] L0[3]"],
    ["only what is new", 2, [file(1), file(2), file(3), file(4)], [], "L0[3] L0[4]"],
    ["files in any order", 1, [file(4), file(2), file(3)], [], "L0[2] L0[3] L0[4]"],
    ["a file that straddles the seam", 5, [file(4, 7), file(8)], [], "L0[4-7] L0[8]"],
    ["nothing twice", 1, [file(2, 6), file(3), file(4), file(7)], [], "L0[2-6] L0[7]"],
    ["what comes before a gap", 1, [file(2), file(3), file(5)], [], "L0[2] L0[3]"],
    ["no gap at the seam", 3, [file(5), file(6)], [], "gap 3..5"],
    ["no gap at the beginning", undefined, [file(5)], [], "gap -..5"],
    ["what follows a gap that a snapshot covers", 3, [file(5), file(6)], [4], "L0[5] L0[6]"],
    ["what a newer snapshot covers too", 3, [file(5), file(6)], [9], "L0[5] L0[6]"],
    ["no gap that a snapshot covers in part", 3, [file(9)], [7], "gap 3..9"],
  ] as const)("takes %s", (_, newest, sources, snapshots, expected) => {
    expect(planned(newest, sources, snapshots)).toBe(expected);
  });

  it("takes a bounded number of files, the oldest first", () => {
    const sources = Array.from({ length: COMPACTION_FILES_MAX + 10 }, (_, i) => file(i + 2));
    const plan = planCompaction({ newestTxid: txid(1), sources, snapshots: [] });
    expect(plan.kind === "merge" && plan.files.length).toBe(COMPACTION_FILES_MAX);
    expect(plan.kind === "merge" && plan.files[0].minTxid).toBe(2n);
  });

  it("never leaves a TXID out, and always goes on, whatever files there are", () => {
    const range = fc.tuple(fc.integer({ min: 2, max: 30 }), fc.integer({ min: 0, max: 8 }));
    const newestTxid = fc.integer({ min: 1, max: 20 });
    fc.assert(
      fc.property(fc.array(range), newestTxid, (ranges, newest) => {
        const sources = ranges.map(([min, length]) => file(min, min + length));
        const plan = planCompaction({
          newestTxid: txid(newest),
          sources,
          snapshots: [],
        });
        const isNews = sources.some(({ maxTxid }) => maxTxid > BigInt(newest));
        expect(plan.kind !== "nothing").toBe(isNews);
        if (plan.kind !== "merge") return;
        let reached = BigInt(newest);
        for (const { minTxid, maxTxid } of plan.files) {
          expect(minTxid).toBeLessThanOrEqual(reached + 1n);
          expect(maxTxid).toBeGreaterThan(reached);
          reached = maxTxid;
        }
      }),
    );
  });
});
