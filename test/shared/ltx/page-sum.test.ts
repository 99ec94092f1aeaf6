import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pageSumKeyBytes, sumPage } from "../../../shared/ltx/page-sum.ts";
import { samplePage } from "../../support/ltx-fixtures.ts";

const SIZES = [512, 1024, 4096, 65_536] as const;
/** Beyond what a sum can be. */
const MODULUS = 1n << 64n;

/** Bytes that look random, the same for each `seed`. */
function bytesOf(seed: number, length: number): Uint8Array {
  return samplePage("noise", seed, length);
}

/** The product of two polynomials over two elements, reduced at its end. */
function times(left: bigint, right: bigint): bigint {
  let wide = 0n;
  for (let bit = 0n; bit < 64n; bit++) if ((right >> bit) & 1n) wide ^= left << bit;
  for (let bit = 127n; bit >= 64n; bit--) {
    if ((wide >> bit) & 1n) wide ^= (MODULUS | 0x1bn) << (bit - 64n);
  }
  return wide;
}

function word(bytes: Uint8Array, index: number): bigint {
  return BigInt(new DataView(bytes.buffer, bytes.byteOffset).getUint32(4 * index, true));
}

/** The definition, word for word, in numbers without a limit. */
function sumByDefinition(page: Uint8Array, key: Uint8Array): bigint {
  const long = (index: number) =>
    new DataView(key.buffer, key.byteOffset).getBigUint64(8 * index, true);
  const pass = (keyWord: number) => {
    let sum = 0n;
    for (let at = 0; at < page.length / 4; at += 8) {
      for (let i = at; i < at + 4; i++) {
        const left = (word(page, i) + word(key, keyWord + i)) % (1n << 32n);
        const right = (word(page, i + 4) + word(key, keyWord + i + 4)) % (1n << 32n);
        sum = (sum + left * right) % MODULUS;
      }
    }
    return sum;
  };
  return times(pass(4), long(0)) ^ times(pass(12), long(1));
}

describe("sumPage", () => {
  it.each(SIZES)("is what its definition says, for pages of %d bytes", (size) => {
    const key = bytesOf(1, pageSumKeyBytes(size));
    for (const seed of [3, 5]) {
      const page = bytesOf(seed, size);
      expect(sumPage(page, key)).toBe(sumByDefinition(page, key));
    }
    for (const page of [new Uint8Array(size), new Uint8Array(size).fill(0xff)]) {
      expect(sumPage(page, key)).toBe(sumByDefinition(page, key));
    }
  });

  it("is another one when any single bit of a page is another one", () => {
    const key = bytesOf(13, pageSumKeyBytes(512));
    const page = bytesOf(5, 512);
    const sums = new Set([sumPage(page, key)]);
    for (let bit = 0; bit < 8 * page.length; bit++) {
      const other = page.slice();
      other[bit >> 3] ^= 1 << (bit & 7);
      sums.add(sumPage(other, key));
    }
    expect(sums.size).toBe(8 * page.length + 1);
  });

  it("is another one when any two words change places, or change together", () => {
    const key = bytesOf(15, pageSumKeyBytes(512));
    const page = bytesOf(7, 512);
    const before = sumPage(page, key);
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 127 }),
        fc.integer({ min: 0, max: 127 }),
        fc.integer({ min: 1, max: 0xffff_ffff }),
        (left, right, difference) => {
          fc.pre(left !== right);
          const swapped = new Uint32Array(page.slice().buffer);
          [swapped[left], swapped[right]] = [swapped[right], swapped[left]];
          const moved = new Uint32Array(page.slice().buffer);
          moved[left] ^= difference;
          moved[right] ^= difference;
          for (const words of [swapped, moved]) {
            expect(sumPage(new Uint8Array(words.buffer), key)).not.toBe(before);
          }
        },
      ),
    );
  });

  it("is another one with another key, and keeps two keys that are used in turn apart", () => {
    const page = samplePage("half noise", 1, 4096);
    const keys = [9, 11].map((seed) => bytesOf(seed, pageSumKeyBytes(4096)));
    const [first, second, again] = [keys[0], keys[1], keys[0]].map((key) => sumPage(page, key));
    expect(first).not.toBe(second);
    expect(again).toBe(first);
  });
});
