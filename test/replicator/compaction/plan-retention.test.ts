import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  countLevel0,
  level0DueMs,
  planRetention,
  snapshotsDueMs,
  type RetentionRules,
} from "../../../replicator/compaction/plan-retention.ts";
import type { LtxFileInfo } from "../../../shared/replica/list-ltx-files.ts";
import { planRestore, restorableTxids } from "../../../shared/replica/restore-plan.ts";
import { L, nameOf } from "../../support/replica-fixtures.ts";

/** TXID n is stamped n; so is every file that ends with it. */
const file = (level: number, min: number, max = min): LtxFileInfo => L(level, min, max, max);

const rules = (nowMs: number, l0 = 10, snapshots = 100): RetentionRules => ({
  nowMs,
  l0RetentionMs: l0,
  snapshotRetentionMs: snapshots,
});

function removed(files: readonly LtxFileInfo[], at: RetentionRules): string {
  return planRetention(files, at).remove.map(nameOf).join(" ");
}

const level0 = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => file(0, from + index));

describe("the retention of level 0", () => {
  it("removes what level 1 holds and is old enough, a file of level 1 at a time", () => {
    const files = [...level0(1, 9), file(1, 2, 4), file(1, 5, 7)];
    expect(removed(files, rules(13))).toBe("");
    expect(removed(files, rules(14))).toBe("L0[2] L0[3] L0[4]");
    // TXID 6 is restored through 5, which is old enough by itself.
    expect(removed(files, rules(16))).toBe("L0[2] L0[3] L0[4]");
    expect(removed(files, rules(99))).toBe("L0[2] L0[3] L0[4] L0[5] L0[6] L0[7]");
    expect(level0DueMs(files, 10)).toBe(14);
  });

  it("never removes what level 1 does not hold, nor the newest file", () => {
    expect(removed(level0(1, 9), rules(99))).toBe("");
    expect(removed([...level0(1, 4), file(1, 2, 4)], rules(99))).toBe("L0[2] L0[3]");
    expect(removed([...level0(1, 5), file(2, 2, 5)], rules(99))).toBe("");
    // Level 1 lacks 4, although it reaches further.
    const withHole = [...level0(1, 8), file(1, 2, 3), file(1, 5, 7)];
    expect(removed(withHole, rules(99))).toBe("L0[2] L0[3] L0[5] L0[6] L0[7]");
    expect(level0DueMs([file(0, 9), file(1, 2, 9)], 10)).toBeUndefined();
    // A foreign file of several TXIDs, of which level 1 lacks the last.
    expect(removed([file(0, 1), file(0, 2, 5), file(0, 6), file(1, 2, 4)], rules(99))).toBe("");
  });

  it("is counted by what keeps each file", () => {
    const files = [...level0(1, 9), file(1, 2, 4), file(1, 5, 7)];
    const counts = (atMs: number) => Object.values(countLevel0(files, rules(atMs)));
    // Eligible, not compacted (the first, and the last two), too recent.
    expect(counts(13)).toEqual([0, 3, 6]);
    expect(counts(14)).toEqual([3, 3, 3]);
    expect(counts(99)).toEqual([6, 3, 0]);
    // Level 1 holds the first, and the newest, which stay all the same.
    const held = [...level0(1, 3), file(1, 1, 3)];
    const expected = { eligible: 1, notCompacted: 0, tooRecent: 2 };
    expect(countLevel0(held, rules(99))).toEqual(expected);
  });

  it("stops at the first that is too young, whatever comes behind it", () => {
    const steppedBack = [...level0(1, 3), L(0, 4, 4, 50), file(0, 5), file(0, 6), file(0, 7)];
    const files = [...steppedBack, file(1, 2, 3), file(1, 4, 4), file(1, 5, 6)];
    expect(removed(files, rules(55))).toBe("L0[2] L0[3]");
  });

  it("keeps everything when it is unlimited", () => {
    const files = [...level0(1, 9), file(1, 2, 4), file(1, 5, 7), file(9, 1, 3), file(9, 1, 8)];
    const unlimited = rules(9_999, Number.POSITIVE_INFINITY);
    expect(removed([...files, file(9, 1, 9)], unlimited)).toBe("");
  });

  it("says what has to be in the store first", () => {
    const files = [...level0(1, 9), file(1, 2, 4), file(1, 5, 7)];
    const names = (at: number) => planRetention(files, rules(at)).replacements.map(nameOf);
    expect(names(14)).toEqual(["L1[2-4]"]);
    expect(names(99)).toEqual(["L1[2-4]", "L1[5-7]"]);
  });
});

describe("the retention of snapshots", () => {
  const files = [
    file(0, 1),
    file(0, 400),
    file(9, 1, 100),
    file(9, 1, 200),
    file(9, 1, 300),
    ...[50, 100, 150, 200, 250, 300, 350].map((max) => file(1, max === 50 ? 2 : max - 49, max)),
  ];

  it("keeps the younger ones and the one before them, and the levels from there on", () => {
    expect(removed(files, rules(199))).toBe("");
    expect(removed(files, rules(299))).toBe("L0[1] L1[2-50]");
    expect(removed(files, rules(300))).toBe("L0[1] L9[1-100] L1[2-50] L1[51-100] L1[101-150]");
    expect(removed(files, rules(399))).toBe("L0[1] L9[1-100] L1[2-50] L1[51-100] L1[101-150]");
  });

  it("keeps the newest and the one before it, however old they are", () => {
    const old = "L0[1] L9[1-100] L1[2-50] L1[51-100] L1[101-150]";
    expect(removed(files, rules(100_000))).toBe(old);
    expect(snapshotsDueMs(files, rules(100_000))).toBeUndefined();
  });

  it("takes the file of TXID 1 for the snapshot that it is", () => {
    const young = [file(0, 1), file(0, 2), file(0, 9), file(1, 2, 8)];
    expect(removed(young, rules(100_000))).toBe("L0[2]");
    expect(removed([...young, file(9, 1, 8)], rules(100_000))).toBe("L0[2]");
    const more = [...young, file(9, 1, 8), file(9, 1, 9)];
    expect(removed(more, rules(100_000))).toBe("L0[2] L0[1]");
  });

  it("keeps snapshots as long as level 0 where that is longer", () => {
    expect(removed(files, rules(399, 250))).toBe("L0[1] L1[2-50]");
  });

  it("keeps the last file of each level", () => {
    const stale = [file(2, 2, 50), file(2, 51, 60), file(3, 2, 50)];
    expect(removed([...files, ...stale], rules(399))).toContain("L2[2-50]");
    expect(removed([...files, ...stale], rules(399))).not.toMatch(/L2\[51|L3/);
  });

  it("says when the next may go", () => {
    expect(snapshotsDueMs(files, rules(150))).toBe(200);
    expect(snapshotsDueMs(files.slice(0, 2), rules(150))).toBeUndefined();
  });
});

/** A history with levels as compactions make them, some files lost, and snapshots here and there. */
const aReplica = fc
  .record({
    head: fc.integer({ min: 1, max: 40 }),
    merges: fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 6 })), {
      maxLength: 12,
    }),
    snapshots: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 5 }),
    lost: fc.array(fc.nat({ max: 80 }), { maxLength: 3 }),
    litestream: fc.boolean(),
  })
  .map(({ head, merges, snapshots, lost, litestream }) => {
    const files = level0(1, head);
    const ends = [0, litestream ? 0 : 1, litestream ? 0 : 1, litestream ? 0 : 1];
    for (const [level, count] of merges) {
      const sources = files.filter((other) => other.level === level - 1);
      const next = sources.filter(({ minTxid }) => minTxid > BigInt(ends[level] ?? 0));
      const [first, last] = [next[0], next[Math.min(count, next.length) - 1]];
      if (!first || !last) continue;
      files.push(file(level, Number(first.minTxid), Number(last.maxTxid)));
      ends[level] = Number(last.maxTxid);
    }
    for (const max of new Set(snapshots)) if (max <= head) files.push(file(9, 1, max));
    return files.filter((_, index) => !lost.includes(index) || index === head - 1);
  });

const someRules = fc.record({
  nowMs: fc.integer({ min: 1, max: 90 }),
  l0RetentionMs: fc.oneof(fc.integer({ min: 0, max: 50 }), fc.constant(Number.POSITIVE_INFINITY)),
  snapshotRetentionMs: fc.integer({ min: 0, max: 50 }),
});

/** What the rules promise of what could be restored. */
function promised(files: readonly LtxFileInfo[], at: RetentionRules): bigint[] {
  const restorable = restorableTxids(files);
  const youngerThan = (txid: bigint, ms: number) => at.nowMs - Number(txid) < ms;
  const endsAbove0 = new Set(files.filter(({ level }) => level > 0).map(({ maxTxid }) => maxTxid));
  return restorable.filter(
    (txid) =>
      txid === restorable.at(-1) ||
      youngerThan(txid, at.l0RetentionMs) ||
      (endsAbove0.has(txid) && youngerThan(txid, at.snapshotRetentionMs)),
  );
}

describe("the retention of any replica", () => {
  it("keeps all that it promises restorable, by TXID and by moment", () => {
    fc.assert(
      fc.property(aReplica, someRules, (files, at) => {
        const { remove } = planRetention(files, at);
        const left = files.filter((one) => !remove.includes(one));
        for (const txid of promised(files, at)) {
          expect(planRestore(left, { kind: "txid", txid: txid as never }).txid).toBe(txid);
          const moment = { kind: "time", beforeMs: Number(txid) + 1 } as const;
          const before = planTxid(files, moment);
          if (before !== undefined) expect(planTxid(left, moment)).toBe(before);
        }
        const latest = planTxid(files, { kind: "latest" });
        if (latest !== undefined) expect(planTxid(left, { kind: "latest" })).toBe(latest);
      }),
      { numRuns: 2_000 },
    );
  });

  it("removes the same or nothing more a second time, and less of a part of the listing", () => {
    fc.assert(
      fc.property(aReplica, someRules, (files, at) => {
        const { remove, replacements } = planRetention(files, at);
        const left = files.filter((one) => !remove.includes(one));
        expect(planRetention(left, at).remove).toEqual([]);
        expect(remove.filter((one) => replacements.includes(one))).toEqual([]);
        expect(new Set(remove).size).toBe(remove.length);
        const part = files.filter(({ level }) => level <= 1);
        for (const one of planRetention(part, at).remove) expect(remove).toContain(one);
      }),
      { numRuns: 1_000 },
    );
  });

  it("never removes the newest file of level 0", () => {
    fc.assert(
      fc.property(aReplica, someRules, (files, at) => {
        const newest = files.filter(({ level }) => level === 0).at(-1);
        expect(planRetention(files, at).remove).not.toContain(newest);
      }),
    );
  });
});

function planTxid(
  files: readonly LtxFileInfo[],
  target: Parameters<typeof planRestore>[1],
): bigint | undefined {
  try {
    return planRestore(files, target).txid;
  } catch {
    return undefined;
  }
}
