import * as fc from "fast-check";
import { expect, test } from "vitest";
import { isReplicaError } from "../../../shared/errors.ts";
import type { LtxFileInfo } from "../../../shared/replica/list-ltx-files.ts";
import {
  planRestore,
  restorableTxids,
  type RestorePlan,
  type RestoreTarget,
} from "../../../shared/replica/restore-plan.ts";
import { L, nameOf } from "../../support/replica-fixtures.ts";

const TXID_MAX = 12;

const aFile = fc
  .record({
    level: fc.constantFrom(0, 0, 1, 2, 3, 9),
    min: fc.integer({ min: 1, max: TXID_MAX }),
    span: fc.oneof(fc.constant(0), fc.nat({ max: 5 })),
    stamp: fc.integer({ min: 1, max: 20 }),
  })
  .map(({ level, min, span, stamp }) => L(level, level === 9 ? 1 : min, min + span, stamp));

const someFiles = fc.uniqueArray(aFile, { maxLength: 14, selector: ({ key }) => key });

const RUNS = { numRuns: 2_000 };

/**
 * Every TXID at which some chain of `files` ends, found by trying all steps from all states that
 * were found so far. The merge's own rule and nothing of the planner's.
 */
function reachable(files: readonly LtxFileInfo[]): Set<bigint> {
  const found = new Set<bigint>([0n]);
  let before: number;
  do {
    before = found.size;
    for (const { minTxid, maxTxid } of files) {
      if ([...found].some((end) => minTxid <= end + 1n && maxTxid > end)) found.add(maxTxid);
    }
  } while (found.size > before);
  found.delete(0n);
  return found;
}

/** The plan, or the code of the error. */
function plan(files: readonly LtxFileInfo[], target: RestoreTarget): RestorePlan | string {
  try {
    return planRestore(files, target);
  } catch (error) {
    if (isReplicaError(error)) return error.code;
    throw error;
  }
}

function written(result: RestorePlan | string): string {
  return typeof result === "string"
    ? result
    : `${result.files.map(nameOf).join(" ")} ${result.exact}`;
}

function largest(values: Iterable<bigint>): bigint {
  return [...values].reduce((max, value) => (value > max ? value : max), 0n);
}

function expectMergeable({ files, txid }: RestorePlan): void {
  let end = 0n;
  for (const file of files) {
    expect(file.minTxid).toBeLessThanOrEqual(end + 1n);
    expect(file.maxTxid).toBeGreaterThan(end);
    end = file.maxTxid;
  }
  expect(txid).toBe(end);
}

const aTarget: fc.Arbitrary<RestoreTarget> = fc.oneof(
  fc.constant({ kind: "latest" } as const),
  fc
    .integer({ min: 1, max: TXID_MAX + 6 })
    .map((txid) => ({ kind: "txid", txid: L(0, txid, txid, 0).minTxid }) as const),
  fc.integer({ min: 0, max: 22 }).map((beforeMs) => ({ kind: "time", beforeMs }) as const),
);

test("a TXID is found exactly when some chain of files ends at it", () => {
  fc.assert(
    fc.property(someFiles, (files) => {
      const found: bigint[] = [];
      for (let txid = 1; txid <= TXID_MAX + 6; txid++) {
        const result = plan(files, { kind: "txid", txid: L(0, txid, txid, 0).minTxid });
        if (typeof result === "string") continue;
        expect(result).toMatchObject({ txid: BigInt(txid), exact: true });
        found.push(BigInt(txid));
      }
      const oracle = [...reachable(files)].sort((a, b) => Number(a - b));
      expect(found).toEqual(oracle);
      expect(restorableTxids(files)).toEqual(oracle);
    }),
    RUNS,
  );
});

test("every plan can be merged, and holds only files that its target allows", () => {
  fc.assert(
    fc.property(someFiles, aTarget, (files, target) => {
      const result = plan(files, target);
      if (typeof result === "string") return;
      expectMergeable(result);
      if (target.kind === "txid") expect(result.txid).toBe(target.txid);
      if (target.kind !== "time") return;
      for (const { createdAtMs } of result.files) {
        expect(createdAtMs).toBeLessThan(target.beforeMs);
      }
    }),
    RUNS,
  );
});

test("the latest plan reaches the last TXID of all files, or names a gap", () => {
  fc.assert(
    fc.property(someFiles, (files) => {
      fc.pre(files.length > 0);
      const last = largest(files.map(({ maxTxid }) => maxTxid));
      const result = plan(files, { kind: "latest" });
      if (reachable(files).has(last)) expect(result).toMatchObject({ txid: last, exact: true });
      else expect(result).toBe("REPLICA_GAP");
    }),
    RUNS,
  );
});

test("a moment gives the last state that the files stamped before it reach, or a reason", () => {
  fc.assert(
    fc.property(someFiles, fc.integer({ min: 0, max: 22 }), (files, beforeMs) => {
      fc.pre(files.length > 0);
      const end = largest(reachable(files.filter(({ createdAtMs }) => createdAtMs < beforeMs)));
      const isHeld = files.some(({ minTxid, maxTxid }) => minTxid <= end + 1n && maxTxid > end);
      const isHidden = files.some((file) => file.maxTxid > end && file.createdAtMs < beforeMs);
      const result = plan(files, { kind: "time", beforeMs });
      if (reachable(files).size === 0) expect(result).toBe("REPLICA_GAP");
      else if (end === 0n) expect(result).toBe("TIME_OUT_OF_RANGE");
      else if (isHidden && !isHeld) expect(result).toBe("REPLICA_GAP");
      else expect(result).toMatchObject({ txid: end });
    }),
    RUNS,
  );
});

test("the order of the listing does not matter", () => {
  const shuffled = someFiles.chain((files) =>
    fc.tuple(fc.constant(files), fc.shuffledSubarray(files, { minLength: files.length })),
  );
  fc.assert(
    fc.property(shuffled, aTarget, ([files, others], target) => {
      expect(written(plan(others, target))).toEqual(written(plan(files, target)));
    }),
    RUNS,
  );
});
