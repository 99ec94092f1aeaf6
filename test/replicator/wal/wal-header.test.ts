import { describe, expect, it } from "vitest";
import { isSameWal, parseWalHeader, type WalHeader } from "../../../replicator/wal/wal-header.ts";
import { makeWalImage, withChecksums } from "../../support/wal-images.ts";

const { bytes: log, pageSize } = makeWalImage({
  pageSize: 1024,
  transactions: ["CREATE TABLE t (x)"],
});

function headerOf(bytes: Uint8Array): WalHeader {
  const header = parseWalHeader(bytes);
  expect(header).toBeDefined();
  return header!;
}

describe("parseWalHeader", () => {
  it("reads the header that SQLite wrote", () => {
    expect(parseWalHeader(log)).toEqual({
      pageSize: 1024,
      checkpointSequence: 0,
      salt1: log.readUInt32BE(16),
      salt2: log.readUInt32BE(20),
      isBigEndian: false,
      checksum: [log.readUInt32BE(24), log.readUInt32BE(28)],
    });
  });

  it("reads one of the other byte order", () => {
    const { isBigEndian, ...rest } = headerOf(withChecksums(log, pageSize, true));
    expect(isBigEndian).toBe(true);
    expect(rest).toMatchObject({ pageSize: 1024, salt1: log.readUInt32BE(16) });
    expect(rest.checksum).not.toEqual(headerOf(log).checksum);
  });

  it("knows none in fewer than 32 bytes", () => {
    for (let length = 0; length < 32; length++) {
      expect(parseWalHeader(log.subarray(0, length))).toBeUndefined();
    }
    expect(parseWalHeader(log.subarray(0, 32))).toBeDefined();
  });

  it("knows none where any bit of the 32 bytes is another", () => {
    for (let bit = 0; bit < 32 * 8; bit++) {
      const copy = Buffer.from(log.subarray(0, 32));
      copy[bit >> 3] ^= 1 << (bit & 7);
      expect(parseWalHeader(copy), `bit ${bit}`).toBeUndefined();
    }
  });

  it.each([
    ["magic number", 0, 0x377f0684],
    ["version", 4, 3_007_001],
  ])("knows none with another %s, though its checksum fits", (_name, offset, value) => {
    const copy = Buffer.from(log);
    copy.writeUInt32BE(value, offset);
    const doctored = withChecksums(copy, pageSize, false);
    doctored.writeUInt32BE(value, offset);
    expect(parseWalHeader(doctored)).toBeUndefined();
  });
});

describe("isSameWal", () => {
  const header = headerOf(log);
  it.each([
    ["another first salt", { salt1: 1 }],
    ["another second salt", { salt2: 1 }],
    ["another count of beginnings", { checkpointSequence: 1 }],
  ])("tells a header with %s from this one", (_name, change) => {
    expect(isSameWal(header, { ...header, ...change })).toBe(false);
  });

  it("knows the same beginning again", () => {
    expect(isSameWal(header, headerOf(Buffer.from(log)))).toBe(true);
  });
});
