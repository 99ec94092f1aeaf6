import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  Crc64,
  formatChecksum,
  pageChecksum,
  pageChecksum32,
  toChecksum,
} from "../../../shared/ltx/checksum.ts";
import golden from "../../golden/ltx-vectors.json" with { type: "json" };
import { steppedPage } from "../../support/ltx-fixtures.ts";

/** The definition, bit by bit. */
function crcByBits(bytes: Uint8Array): bigint {
  let register = 0xffff_ffff_ffff_ffffn;
  for (const byte of bytes) {
    register ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) {
      register = (register >> 1n) ^ ((register & 1n) * 0xd800_0000_0000_0000n);
    }
  }
  return register ^ 0xffff_ffff_ffff_ffffn;
}

describe("Crc64", () => {
  it("gives the check value of CRC-64/ISO", () => {
    const digits = new TextEncoder().encode("123456789");
    expect(formatChecksum(new Crc64().update(digits).digest())).toBe(
      golden.crc64_go_iso_check_123456789,
    );
  });

  it("gives 0 for no bytes, and the mark alone as their checksum", () => {
    expect(new Crc64().digest()).toBe(0n);
    expect(new Crc64().checksum()).toBe(1n << 63n);
  });

  it("agrees with the definition wherever the bytes lie and however they are cut", () => {
    const length = fc.integer({ min: 0, max: 100 });
    const content = fc.uint8Array({ maxLength: 100 });
    fc.assert(
      fc.property(content, length, fc.nat({ max: 3 }), (content, cut, shift) => {
        const shifted = new Uint8Array(content.length + shift).subarray(shift);
        shifted.set(content);
        const crc = new Crc64().update(shifted.subarray(0, cut)).update(shifted.subarray(cut));
        expect(crc.digest()).toBe(crcByBits(content));
      }),
    );
  });
});

describe("pageChecksum", () => {
  it.each(Object.entries(golden.pageSum))(
    "gives the reference's value for page %s",
    (name, sum) => {
      const [pgno, page] = name.split(":P");
      const checksum = pageChecksum(Number(pgno), steppedPage(Number(`0x${page}`)));
      expect(formatChecksum(checksum)).toBe(sum);
    },
  );

  it("gives the database's checksum when the pages' are joined by XOR", () => {
    const sum = pageChecksum(1, steppedPage(0x11)) ^ pageChecksum(2, steppedPage(0x41));
    expect(formatChecksum(toChecksum(sum))).toBe(golden.vectors.V4.postApply);
  });

  it("tells page numbers apart in all four of their bytes", () => {
    const page = steppedPage(0);
    const numbers = [1, 0x100, 0x1_0000, 0x100_0000, 0xffff_ffff];
    expect(new Set(numbers.map((pgno) => pageChecksum(pgno, page))).size).toBe(numbers.length);
  });
});

describe("pageChecksum32", () => {
  it("folds the page's CRC-64", () => {
    const page = steppedPage(4096);
    const crc = pageChecksum(7, page);
    // The checksum's own top bit is the mark.
    expect(pageChecksum32(7, page) & 0x7fff_ffff).toBe(Number(((crc >> 32n) ^ crc) & 0x7fff_ffffn));
    expect(pageChecksum32(8, page)).not.toBe(pageChecksum32(7, page));
  });

  it("changes with every single bit of the largest page", () => {
    // A CRC is linear: a flipped bit changes it by what that bit alone, and zeros behind it, leave.
    let change = 0xd800_0000_0000_0000n;
    const unseen: number[] = [];
    for (let bitsBehind = 0; bitsBehind < 65_536 * 8; bitsBehind++) {
      if ((((change >> 32n) ^ change) & 0xffff_ffffn) === 0n) unseen.push(bitsBehind);
      change = (change >> 1n) ^ ((change & 1n) * 0xd800_0000_0000_0000n);
    }
    expect(unseen).toEqual([]);
  });
});
