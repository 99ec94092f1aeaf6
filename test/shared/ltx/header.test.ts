import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeHeader, encodeHeader, isSnapshot } from "../../../shared/ltx/header.ts";
import { formatTxid, toTxid } from "../../../shared/ltx/txid.ts";
import {
  GOLDEN,
  goldenFile,
  type GoldenName,
  ltxHeader,
  patched,
} from "../../support/ltx-fixtures.ts";

const names = Object.keys(GOLDEN) as GoldenName[];

describe("decodeHeader", () => {
  it.each(names)("reads the header of %s, and encodeHeader writes it back", (name) => {
    const bytes = goldenFile(name).subarray(0, 100);
    const vector = GOLDEN[name];
    expect(decodeHeader(bytes)).toMatchObject({
      flags: vector.flags,
      pageSize: vector.pageSize,
      commit: vector.commit,
      minTxid: BigInt(vector.minTXID),
      maxTxid: BigInt(vector.maxTXID),
      timestampMs: vector.timestamp,
    });
    expect(encodeHeader(decodeHeader(bytes))).toEqual(bytes);
  });

  it("reads where in the WAL a file came from", () => {
    expect(decodeHeader(goldenFile("V1"))).toMatchObject({
      walOffset: 32,
      walSize: 1072,
      walSalt1: 0xaabbccdd,
      walSalt2: 0x11223344,
      nodeId: 0n,
    });
  });

  it("reads back whatever encodeHeader wrote", () => {
    const u32 = fc.nat({ max: 0xffff_ffff });
    const u64 = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n });
    const headers = fc.record({
      flags: fc.constant(2),
      pageSize: fc.integer({ min: 9, max: 16 }).map((power) => 2 ** power),
      commit: u32,
      txids: fc.tuple(u64, u64),
      timestampMs: fc.maxSafeNat(),
      preApplyChecksum: fc.constant(0n),
      walOffset: fc.maxSafeNat().filter((offset) => offset > 0),
      walSize: fc.maxSafeNat(),
      walSalt1: u32,
      walSalt2: u32,
      nodeId: u64,
    });
    fc.assert(
      fc.property(headers, ({ txids: [a, b], ...rest }) => {
        const [minTxid, maxTxid] = a < b ? [toTxid(a), toTxid(b)] : [toTxid(b), toTxid(a)];
        const header = { ...rest, minTxid, maxTxid };
        expect(decodeHeader(encodeHeader(header))).toEqual(header);
      }),
    );
  });

  it("passes over the reserved bytes, as the reference does", () => {
    expect(decodeHeader(patched(goldenFile("V1"), 99, 7))).toEqual(decodeHeader(goldenFile("V1")));
  });

  it("takes bytes that do not begin where their buffer does", () => {
    const shifted = new Uint8Array(103).subarray(3);
    shifted.set(goldenFile("V2").subarray(0, 100));
    expect(decodeHeader(shifted)).toEqual(decodeHeader(goldenFile("V2")));
  });

  const snapshot = goldenFile("V1");
  const delta = goldenFile("V2");
  const zeros = Array<number>(8).fill(0);
  it.each([
    ["99 bytes", snapshot.subarray(0, 99), "it has 99 bytes, less than the 100 of a header"],
    ["another magic number", patched(snapshot, 3, 0x32), 'it does not begin with "LTX1"'],
    ["an unknown flag", patched(snapshot, 7, 3), "its flags 0x3 are not known here"],
    ["a page size of 0", patched(snapshot, 10, 0, 0), "its page size of 0 is not a power of two"],
    ["a page size of 768", patched(snapshot, 10, 3, 0), "its page size of 768 is not a power"],
    ["a page size of 256", patched(snapshot, 10, 1, 0), "its page size of 256 is not a power"],
    [
      "a page size of 2^17",
      patched(snapshot, 9, 2, 0, 0),
      "its page size of 131072 is not a power",
    ],
    ["a first TXID of 0", patched(snapshot, 16, ...zeros), "its first TXID is 0"],
    [
      "TXIDs that run backwards",
      patched(delta, 31, 1),
      "its first TXID 0000000000000002 comes after its last, 0000000000000001",
    ],
    ["a time before 1970", patched(snapshot, 32, 0x80), "its timestamp of -"],
    [
      "a time that no number holds",
      patched(snapshot, 32, 0, 0x20),
      "its timestamp of 9008899254741116 is not within 0",
    ],
    ["a WAL offset below 0", patched(snapshot, 48, 0xff), "its WAL offset of -"],
    ["a WAL size below 0", patched(snapshot, 56, 0xff), "its WAL size of -"],
    ["salts alone", patched(snapshot, 55, 0), "it has WAL salts without a WAL offset"],
    ["the second salt alone", patched(snapshot, 55, 0, ...zeros, 0, 0, 0, 0), "it has WAL salts"],
    [
      "a WAL size alone",
      patched(snapshot, 55, 0, ...zeros.slice(2), 4, 0x30, ...zeros),
      "it has a WAL size of 1072 without a WAL offset",
    ],
    [
      "a pre-apply checksum in a snapshot",
      patched(snapshot, 40, 0x80),
      "a snapshot has no pre-apply",
    ],
    [
      "a pre-apply checksum that the flags deny",
      patched(delta, 40, 0x80),
      "it has a pre-apply checksum that its flags deny",
    ],
    [
      "no pre-apply checksum where the flags promise one",
      patched(delta, 7, 0),
      "it lacks the pre-apply checksum that its flags promise",
    ],
    [
      "a pre-apply checksum without its mark",
      patched(patched(delta, 7, 0), 47, 1),
      "its pre-apply checksum lacks the bit that marks one",
    ],
  ])("refuses %s", (_name, bytes, message) => {
    expect(() => decodeHeader(bytes)).toThrow(
      expect.objectContaining({
        code: "CORRUPT_PAGE",
        message: expect.stringContaining(`this is not a sound LTX file: ${message}`),
      }),
    );
  });

  it("takes a delta that carries the database's checksum", () => {
    const bytes = patched(patched(delta, 7, 0), 40, 0x80, 0, 0, 0, 0, 0, 0, 9);
    expect(decodeHeader(bytes)).toMatchObject({ flags: 0, preApplyChecksum: (1n << 63n) | 9n });
  });
});

describe("encodeHeader", () => {
  it("refuses what decodeHeader would", () => {
    const header = ltxHeader({ pageSize: 1000 });
    expect(() => encodeHeader(header)).toThrow("its page size of 1000 is not a power of two");
  });
});

describe("isSnapshot", () => {
  it("holds for files that begin at TXID 1, however far they reach", () => {
    expect(isSnapshot(ltxHeader({ minTxid: 1, maxTxid: 9 }))).toBe(true);
    expect(isSnapshot(ltxHeader({ minTxid: 2, maxTxid: 9 }))).toBe(false);
    expect(formatTxid(ltxHeader({ maxTxid: 9 }).maxTxid)).toBe("0000000000000009");
  });
});
