import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { updateWalChecksum } from "../../../replicator/wal/wal-checksum.ts";
import { sumWords } from "../../support/wal-images.ts";

/** Bytes whose count is a multiple of 8, at any place in their buffer: aligned for words or not. */
const words = fc
  .tuple(fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { maxLength: 40 }), fc.nat(7))
  .map(([values, shift]) => {
    const buffer = new ArrayBuffer(values.length * 8 + shift);
    const view = new DataView(buffer, shift);
    for (const [index, value] of values.entries()) view.setBigUint64(index * 8, value);
    return new Uint8Array(buffer, shift);
  });
const sum = fc.nat(0xffff_ffff);

describe("updateWalChecksum", () => {
  it("adds up as the format's description says, in both byte orders, wherever the bytes lie", () => {
    fc.assert(
      fc.property(sum, sum, words, fc.boolean(), (s0, s1, bytes, isBigEndian) => {
        const expected = sumWords([BigInt(s0), BigInt(s1)], bytes, isBigEndian);
        expect(updateWalChecksum([s0, s1], bytes, isBigEndian)).toEqual(expected.map(Number));
      }),
    );
  });

  it("goes on where it stopped: pieces give what the whole gives", () => {
    fc.assert(
      fc.property(words, words, fc.boolean(), (first, second, isBigEndian) => {
        const whole = new Uint8Array([...first, ...second]);
        const half = updateWalChecksum([0, 0], first, isBigEndian);
        expect(updateWalChecksum(half, second, isBigEndian)).toEqual(
          updateWalChecksum([0, 0], whole, isBigEndian),
        );
      }),
    );
  });
});
