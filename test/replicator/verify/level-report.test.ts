import { describe, expect, it } from "vitest";
import { reportLevels } from "../../../replicator/verify/level-report.ts";
import { L } from "../../support/replica-fixtures.ts";

describe("reportLevels", () => {
  it("counts what each level holds, and finds nothing missing in a sound replica", () => {
    const files = [L(0, 4, 4, 4), L(0, 3, 3, 3), L(0, 5, 5, 5), L(1, 1, 4, 4), L(9, 1, 3, 3)];
    expect(reportLevels(files)).toEqual([
      { level: 0, files: 3, sizeBytes: 300, minTxid: 3n, maxTxid: 5n, gaps: [] },
      { level: 1, files: 1, sizeBytes: 100, minTxid: 1n, maxTxid: 4n, gaps: [] },
      { level: 9, files: 1, sizeBytes: 100, minTxid: 1n, maxTxid: 3n, gaps: [] },
    ]);
  });

  it("names what a level lacks, and tells a hole that others bridge from one that nothing does", () => {
    const files = [L(0, 1, 1, 1), L(0, 4, 4, 4), L(0, 7, 7, 7), L(2, 2, 4, 4)];
    expect(reportLevels(files)[0]?.gaps).toEqual([
      { first: 2n, last: 3n, isBridged: true },
      { first: 5n, last: 6n, isBridged: false },
    ]);
  });

  it("bridges a hole by a snapshot, and misses nothing between snapshots", () => {
    const files = [L(0, 1, 1, 1), L(0, 6, 6, 6), L(9, 1, 1, 1), L(9, 1, 5, 5)];
    const [zero, nine] = reportLevels(files);
    expect(zero?.gaps).toEqual([{ first: 2n, last: 5n, isBridged: true }]);
    expect(nine?.gaps).toEqual([]);
  });

  it("takes files that overlap for no gap", () => {
    expect(reportLevels([L(1, 1, 10, 1), L(1, 5, 8, 2), L(1, 11, 12, 3)])[0]?.gaps).toEqual([]);
  });
});
