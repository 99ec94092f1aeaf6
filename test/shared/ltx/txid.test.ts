import { describe, expect, it } from "vitest";
import { formatTxid, nextTxid, parseTxid, toTxid } from "../../../shared/ltx/txid.ts";

describe("parseTxid", () => {
  it.each([
    ["0000000000000001", 1n],
    ["00000000deadbeef", 0xdeadbeefn],
    ["ffffffffffffffff", 2n ** 64n - 1n],
  ])("reads %s, as formatTxid writes it", (text, txid) => {
    expect(parseTxid(text)).toBe(txid);
    expect(formatTxid(toTxid(txid))).toBe(text);
  });

  it.each([
    "",
    "1",
    "0000000000000000",
    "000000000000000A",
    "00000000000000001",
    "0x00000000000001",
  ])("passes over %j", (text) => expect(parseTxid(text)).toBeUndefined());
});

describe("toTxid", () => {
  it.each([0n, -1n, 2n ** 64n])("refuses %d", (value) => {
    expect(() => toTxid(value)).toThrow(
      expect.objectContaining({ code: "BAD_REF", message: expect.stringContaining(`${value}`) }),
    );
  });
});

describe("nextTxid", () => {
  it("counts on from a TXID, and from none begins at the first", () => {
    expect(nextTxid(toTxid(41n))).toBe(42n);
    expect(nextTxid(undefined)).toBe(1n);
    expect(() => nextTxid(toTxid(2n ** 64n - 1n))).toThrow("is not a TXID");
  });
});
