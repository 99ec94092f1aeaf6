import { describe, expect, it } from "vitest";
import { formatLtxFileName, parseLtxFileName } from "../../../shared/ltx/file-name.ts";
import { toTxid } from "../../../shared/ltx/txid.ts";

describe("parseLtxFileName", () => {
  it.each([
    ["0000000000000001-0000000000000001.ltx", 1n, 1n],
    ["00000000000000ab-00000000deadbeef.ltx", 0xabn, 0xdeadbeefn],
    ["ffffffffffffffff-ffffffffffffffff.ltx", 2n ** 64n - 1n, 2n ** 64n - 1n],
  ])("reads %s, as formatLtxFileName writes it", (name, min, max) => {
    const range = { minTxid: toTxid(min), maxTxid: toTxid(max) };
    expect(parseLtxFileName(name)).toEqual(range);
    expect(formatLtxFileName(range)).toBe(name);
  });

  it.each([
    ["nothing", ""],
    ["upper case", "00000000000000AB-00000000000000AC.ltx"],
    ["too few digits", "000000000000001-0000000000000001.ltx"],
    ["a folder before it", "0000/0000000000000001-0000000000000001.ltx"],
    ["a file on its way", "0000000000000001-0000000000000001.ltx.tmp"],
    ["a line break behind it", "0000000000000001-0000000000000001.ltx\n"],
    ["TXID 0", "0000000000000000-0000000000000001.ltx"],
    ["TXIDs that run backwards", "0000000000000002-0000000000000001.ltx"],
  ])("passes over %s", (_name, name) => {
    expect(parseLtxFileName(name)).toBeUndefined();
  });
});
