import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { planFollow } from "../../../replicator/follow/plan-follow.ts";
import type { LtxFileInfo } from "../../../shared/replica/list-ltx-files.ts";
import { L, nameOf, txid } from "../../support/replica-fixtures.ts";

const KIB = 1024;

function sized(file: LtxFileInfo, sizeBytes: number): LtxFileInfo {
  return { ...file, sizeBytes };
}

const namesOf = (files: readonly LtxFileInfo[]) => files.map(nameOf);

describe("planFollow", () => {
  it("goes on with level 0, file by file, when that is all there is", () => {
    const files = [L(0, 3, 3, 3), L(0, 5, 5, 5), L(0, 4, 4, 4), L(0, 2, 2, 2)];
    expect(namesOf(planFollow(files, txid(3)))).toEqual(["L0[4]", "L0[5]"]);
  });

  it("leads nowhere from the newest state, and stops at a hole", () => {
    const files = [L(0, 1, 1, 1), L(0, 2, 2, 2), L(0, 4, 4, 4)];
    expect(planFollow(files, txid(4))).toEqual([]);
    expect(planFollow(files, txid(2))).toEqual([]);
    expect(namesOf(planFollow(files, txid(1)))).toEqual(["L0[2]"]);
  });

  it.each([1, 3, 8, 9])("bridges a hole by level %i", (level) => {
    const files = [L(0, 2, 2, 2), L(level, 1, 6, 6), L(0, 7, 7, 7)];
    expect(namesOf(planFollow(files, txid(2)))).toEqual([`L${level}[1-6]`, "L0[7]"]);
  });

  it("takes a large file where many small ones would cost more, and else the small ones", () => {
    const small = Array.from({ length: 40 }, (_, i) => sized(L(0, 11 + i, 11 + i, i), KIB));
    const merged = sized(L(1, 11, 50, 50), 30 * KIB);
    expect(namesOf(planFollow([...small, merged], txid(10)))).toEqual(["L1[11-50]"]);
    const snapshot = sized(L(9, 1, 50, 50), 1_000_000 * KIB);
    expect(planFollow([...small, snapshot], txid(10))).toHaveLength(40);
    expect(planFollow([...small, snapshot], txid(48))).toHaveLength(2);
  });

  it("gets as far as any way does, at the price of the cheapest", () => {
    const file = fc
      .record({
        level: fc.integer({ min: 0, max: 9 }),
        min: fc.integer({ min: 1, max: 12 }),
        span: fc.integer({ min: 0, max: 6 }),
        size: fc.integer({ min: 1, max: 500 }),
      })
      .map(({ level, min, span, size }) => sized(L(level, min, min + span, 0), size * KIB));
    fc.assert(
      fc.property(
        fc.array(file, { maxLength: 9 }),
        fc.integer({ min: 1, max: 8 }),
        (files, from) => {
          const plan = planFollow(files, txid(from));
          expect(summaryOf(plan, BigInt(from))).toEqual(cheapest(files, BigInt(from)));
        },
      ),
      { numRuns: 500 },
    );
  });
});

interface Way {
  readonly end: bigint;
  readonly cost: number;
}

/** Where a plan ends and what it costs; fails where a file does not follow. */
function summaryOf(plan: readonly LtxFileInfo[], from: bigint): Way {
  let [end, cost] = [from, 0];
  for (const file of plan) {
    expect(file.minTxid <= end + 1n && file.maxTxid > end).toBe(true);
    end = file.maxTxid;
    cost += file.sizeBytes + 64 * KIB;
  }
  return { end, cost };
}

/** Every way there is. */
function cheapest(files: readonly LtxFileInfo[], end: bigint, cost = 0): Way {
  let best: Way = { end, cost };
  for (const file of files) {
    if (file.minTxid > end + 1n || file.maxTxid <= end) continue;
    const way = cheapest(files, file.maxTxid, cost + file.sizeBytes + 64 * KIB);
    if (way.end > best.end || (way.end === best.end && way.cost < best.cost)) best = way;
  }
  return best;
}
