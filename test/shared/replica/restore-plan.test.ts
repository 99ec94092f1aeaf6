import { describe, expect, test } from "vitest";
import { isReplicaError, type ErrorCode, type ErrorDetails } from "../../../shared/errors.ts";
import type { LtxFileInfo } from "../../../shared/replica/list-ltx-files.ts";
import {
  planRestore,
  restorableTxids,
  type RestorePlan,
  type RestoreTarget,
} from "../../../shared/replica/restore-plan.ts";
import { L, nameOf, txid } from "../../support/replica-fixtures.ts";

const LATEST: RestoreTarget = { kind: "latest" };

function at(value: number): RestoreTarget {
  return { kind: "txid", txid: txid(value) };
}

function before(beforeMs: number): RestoreTarget {
  return { kind: "time", beforeMs };
}

/** Level 0 as it is written: file n of one TXID, stamped at 10·n. */
function singles(...txids: number[]): LtxFileInfo[] {
  return txids.map((n) => L(0, n, n, 10 * n));
}

function chainOf({ files }: RestorePlan): string {
  return files.map(nameOf).join(" ");
}

function refusal(
  files: readonly LtxFileInfo[],
  target: RestoreTarget,
): { code: ErrorCode; details: ErrorDetails; message: string } {
  try {
    const plan = planRestore(files, target);
    throw new Error(`expected a refusal, got ${chainOf(plan)}`);
  } catch (error) {
    if (!isReplicaError(error)) throw error;
    return error;
  }
}

const SET_A = [
  L(9, 1, 100, 1000),
  L(2, 91, 120, 1200),
  L(1, 91, 105, 1050),
  L(1, 106, 120, 1200),
  L(1, 121, 128, 1280),
  ...singles(118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 130, 131, 132),
];
const SET_B = [L(9, 1, 50, 500), L(1, 51, 60, 600), ...singles(51, 52, 55, 58, 61, 62)];
const SET_C = [L(9, 1, 50, 500), ...singles(51, 53, 54)];
const SET_D = [
  L(9, 1, 200, 2000),
  L(3, 1, 150, 1500),
  L(3, 151, 190, 1900),
  L(1, 191, 195, 1950),
  ...singles(194, 195, 196),
];
const SET_E = [...singles(1, 2, 3), L(1, 1, 2, 20)];
const SET_F = [
  L(9, 1, 100, 1000),
  L(1, 95, 110, 1100),
  L(1, 111, 115, 1150),
  ...singles(114, 115, 116),
];
const SET_H = [L(9, 1, 10, 100), L(0, 11, 11, 130), L(0, 12, 12, 110), L(0, 13, 13, 140)];

describe("the plans of the contract's worked examples", () => {
  const examples: [string, readonly LtxFileInfo[], RestoreTarget, string, boolean][] = [
    [
      "1: LATEST",
      SET_A,
      LATEST,
      "L9[1-100] L2[91-120] L1[121-128] L0[129] L0[130] L0[131] L0[132]",
      true,
    ],
    ["2: TXID 124", SET_A, at(124), "L9[1-100] L2[91-120] L0[121] L0[122] L0[123] L0[124]", true],
    ["2: TXID 105", SET_A, at(105), "L9[1-100] L1[91-105]", true],
    ["2: TXID 100", SET_A, at(100), "L9[1-100]", true],
    [
      "3: TIME 1255, in the middle of L1[121-128]",
      SET_A,
      before(1255),
      "L9[1-100] L2[91-120] L0[121] L0[122] L0[123] L0[124] L0[125]",
      true,
    ],
    ["3: TIME 1100, hidden by coarser files", SET_A, before(1100), "L9[1-100] L1[91-105]", false],
    ["3: TIME 1001", SET_A, before(1001), "L9[1-100]", false],
    ["4: LATEST over a hole in level 0", SET_B, LATEST, "L9[1-50] L1[51-60] L0[61] L0[62]", true],
    [
      "4: TIME 585, Litestream's plan, and it says so",
      SET_B,
      before(585),
      "L9[1-50] L0[51] L0[52]",
      false,
    ],
    ["5: TXID 51, before the gap", SET_C, at(51), "L9[1-50] L0[51]", true],
    ["6: TXID 190 without a snapshot", SET_D, at(190), "L3[1-150] L3[151-190]", true],
    ["6: TIME 1945", SET_D, before(1945), "L3[1-150] L3[151-190]", false],
    ["7: LATEST before there is a snapshot", SET_E, LATEST, "L1[1-2] L0[3]", true],
    ["7: TXID 1 before there is a snapshot", SET_E, at(1), "L0[1]", true],
    [
      "F: a file that straddles the snapshot",
      SET_F,
      LATEST,
      "L9[1-100] L1[95-110] L1[111-115] L0[116]",
      true,
    ],
    ["8: TIME 120 after the clock stepped back", SET_H, before(120), "L9[1-10]", true],
  ];

  test.each(examples)("%s", (_name, files, target, chain, exact) => {
    const plan = planRestore(files, target);
    expect({ chain: chainOf(plan), exact: plan.exact }).toEqual({ chain, exact });
    expect(plan.txid).toBe(plan.files.at(-1)?.maxTxid);
  });
});

describe("what cannot be restored is refused", () => {
  const refusals: [string, readonly LtxFileInfo[], RestoreTarget, ErrorCode, RegExp][] = [
    [
      "2: TXID 110, only inside a compacted file",
      SET_A,
      at(110),
      "VERSION_EXPIRED",
      /0{14}69 before it, 0{14}78 after/,
    ],
    [
      "2: TXID 99, before the snapshot's end",
      SET_A,
      at(99),
      "VERSION_EXPIRED",
      /next to it: 0{14}64 after it$/,
    ],
    [
      "3: TIME 1000, the snapshot's own stamp",
      SET_A,
      before(1000),
      "TIME_OUT_OF_RANGE",
      /00\.999Z is before the first .* 1970-01-01T00:00:01\.000Z/,
    ],
    [
      "4: TXID 55 behind a hole",
      SET_B,
      at(55),
      "VERSION_EXPIRED",
      /0{14}34 before it, 0{14}3c after/,
    ],
    [
      "5: LATEST beyond a gap",
      SET_C,
      LATEST,
      "REPLICA_GAP",
      /0{14}34 is in no LTX file: .* reach 0{14}33 and go on with 0{14}35/,
    ],
    ["5: TIME now beyond a gap", SET_C, before(9999), "REPLICA_GAP", /0{14}34 is in no LTX file/],
    ["5: TXID 54 behind a gap", SET_C, at(54), "VERSION_EXPIRED", /next to it: 0{14}33 before it$/],
    [
      "6: TXID 194, not reached one by one",
      SET_D,
      at(194),
      "VERSION_EXPIRED",
      /0{14}be before it, 0{14}c3 after/,
    ],
    ["6: TXID 120 inside the base", SET_D, at(120), "VERSION_EXPIRED", /0{14}96 after it$/],
    [
      "7: only level 0 files 5 and 6",
      singles(5, 6),
      LATEST,
      "REPLICA_GAP",
      /no LTX file begins at TXID 1 .* 0{15}5/,
    ],
    [
      "7: a moment when there are only 5 and 6",
      singles(5, 6),
      before(9999),
      "REPLICA_GAP",
      /no LTX file begins at TXID 1/,
    ],
    [
      "7: TXID 5 when there are only 5 and 6",
      singles(5, 6),
      at(5),
      "VERSION_EXPIRED",
      /none is restorable, as no LTX file begins at TXID 1: the base .* is missing$/,
    ],
    [
      "a TXID beyond the head",
      SET_A,
      at(133),
      "TXID_TOO_NEW",
      /0{14}85 is beyond the newest, 0{14}84/,
    ],
    [
      "a moment before the first file",
      SET_E,
      before(10),
      "TIME_OUT_OF_RANGE",
      /00\.009Z is before .*00\.010Z/,
    ],
    ["no files at all", [], LATEST, "DB_NOT_FOUND", /no LTX files/],
  ];

  test.each(refusals)("%s", (_name, files, target, code, sentence) => {
    const error = refusal(files, target);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(sentence);
  });

  test("a refused TXID carries its neighbours and the whole range", () => {
    expect(refusal(SET_D, at(194)).details).toEqual({
      neighbours: { before: "00000000000000be", after: "00000000000000c3" },
      range: { min: "0000000000000096", max: "00000000000000c8" },
    });
    expect(refusal(SET_C, at(54)).details).toEqual({
      neighbours: { before: "0000000000000033" },
      range: { min: "0000000000000032", max: "0000000000000033" },
    });
  });

  test("a gap is refused for the moments that it hides, and for no earlier one", () => {
    expect(chainOf(planRestore(SET_C, before(530)))).toBe("L9[1-50] L0[51]");
    expect(refusal(SET_C, before(531)).code).toBe("REPLICA_GAP");
  });
});

describe("a moment is exact", () => {
  const base = L(9, 1, 10, 100);

  test("when the next transaction has a file of its own", () => {
    expect(planRestore([base, L(0, 11, 11, 200)], before(150)).exact).toBe(true);
  });

  test("unless a gap follows", () => {
    expect(planRestore([base, L(0, 12, 12, 200)], before(150)).exact).toBe(false);
  });

  test("when the coarser file's oldest stamp is known and later", () => {
    const coarse = { ...L(1, 11, 20, 300), oldestAtMs: 150 };
    expect(planRestore([base, coarse], before(150)).exact).toBe(true);
    expect(planRestore([base, coarse], before(151)).exact).toBe(false);
  });
});

describe("ties between files that end at the same TXID", () => {
  const base = L(9, 1, 10, 100);

  test("the one that begins first wins, whatever its level", () => {
    const files = [base, L(1, 11, 20, 200), L(2, 11, 20, 200), L(1, 5, 20, 200)];
    expect(chainOf(planRestore(files, LATEST))).toBe("L9[1-10] L1[5-20]");
  });

  test("of equal ranges the higher level wins, even if it is stamped later", () => {
    const files = [base, L(1, 11, 20, 200), L(2, 11, 20, 300), L(0, 11, 20, 200)];
    expect(chainOf(planRestore(files, LATEST))).toBe("L9[1-10] L2[11-20]");
  });

  test("of equal ranges on one level the earlier wins", () => {
    const files = [base, L(1, 11, 20, 300), L(1, 11, 20, 200)];
    expect(planRestore(files, LATEST).files[1].createdAtMs).toBe(200);
  });

  test("a file that ends later wins over one that begins earlier", () => {
    const files = [base, L(3, 2, 19, 200), L(0, 11, 20, 200)];
    expect(chainOf(planRestore(files, LATEST))).toBe("L9[1-10] L0[11-20]");
  });
});

test("a file of the snapshot level that does not begin at TXID 1 is no base", () => {
  const files = [L(9, 5, 10, 100), ...singles(1, 2, 3, 4)];
  expect(chainOf(planRestore(files, at(4)))).toBe("L0[1] L0[2] L0[3] L0[4]");
  expect(chainOf(planRestore(files, LATEST))).toBe("L0[1] L0[2] L0[3] L0[4] L9[5-10]");
  expect(refusal([L(9, 5, 10, 100)], LATEST).code).toBe("REPLICA_GAP");
});

test("the restorable TXIDs of the worked examples", () => {
  expect(restorableTxids(SET_D)).toEqual([150n, 190n, 195n, 196n, 200n]);
  expect(restorableTxids(SET_C)).toEqual([50n, 51n]);
  expect(restorableTxids(SET_E)).toEqual([1n, 2n, 3n]);
  expect(restorableTxids(singles(5, 6))).toEqual([]);
});
