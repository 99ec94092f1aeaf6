import * as fc from "fast-check";
import { compressBlock, decompressBlock } from "lz4js";
import { describe, expect, it } from "vitest";
import { decodeLz4Block, encodeLz4Block, lz4BlockBytesMax } from "../../../shared/ltx/lz4-block.ts";
import { PAGE_KINDS, sameBytes, samplePage } from "../../support/ltx-fixtures.ts";

const samples = fc.record({
  kind: fc.constantFrom(...PAGE_KINDS),
  seed: fc.integer(),
  size: fc.oneof(
    fc.integer({ min: 0, max: 64 }),
    fc.constantFrom(512, 4096),
    fc.integer({ min: 0, max: 65_536 }),
  ),
});

function encode(source: Uint8Array): Uint8Array {
  const target = new Uint8Array(lz4BlockBytesMax(source.length));
  return target.subarray(0, encodeLz4Block(source, target, 0));
}

function decode(block: Uint8Array, size: number): Uint8Array {
  const target = new Uint8Array(size);
  decodeLz4Block(block, target);
  return target;
}

/** Where a block's last match starts and how many literals come last, both counted from the end. */
function ending(block: Uint8Array, size: number) {
  let [read, written, lastMatchStart] = [0, 0, Number.NEGATIVE_INFINITY];
  const length = (nibble: number) => {
    if (nibble < 15) return nibble;
    let total = nibble;
    for (let more = 255; more === 255; total += more) more = block[read++];
    return total;
  };
  for (;;) {
    const token = block[read++];
    const literals = length(token >> 4);
    read += literals;
    written += literals;
    if (read >= block.length) return { literals, lastMatch: size - lastMatchStart };
    read += 2;
    lastMatchStart = written;
    written += length(token & 15) + 4;
  }
}

describe("encodeLz4Block", () => {
  it("gives a block that decodes to its source, here and in lz4js", () => {
    fc.assert(
      fc.property(samples, ({ kind, seed, size }) => {
        const source = samplePage(kind, seed, size);
        const block = encode(source);
        expect(block.length).toBeLessThanOrEqual(lz4BlockBytesMax(size));
        expect(sameBytes(decode(block, size), source)).toBe(true);
        const second = new Uint8Array(size);
        expect(decompressBlock(block, second, 0, block.length, 0)).toBe(size);
        expect(sameBytes(second, source)).toBe(true);
      }),
    );
  });

  it("ends every block as liblz4 insists: five literals, no match within twelve bytes", () => {
    fc.assert(
      fc.property(samples, ({ kind, seed, size }) => {
        const { literals, lastMatch } = ending(encode(samplePage(kind, seed, size)), size);
        expect(literals).toBeGreaterThanOrEqual(Math.min(size, 5));
        expect(lastMatch).toBeGreaterThanOrEqual(12);
      }),
    );
  });

  it("ends them so too where the last bytes repeat earlier ones", () => {
    // So small that the encoder looks at each byte: it skips none before 64 misses.
    for (let tail = 4; tail < 30; tail++) {
      const source = samplePage("noise", tail, 60);
      const { literals, lastMatch } = ending(encode(source.copyWithin(60 - tail, 0, tail)), 60);
      expect(literals).toBeGreaterThanOrEqual(5);
      expect(lastMatch).toBeGreaterThanOrEqual(12);
    }
  });

  it("encodes the same page the same way whatever it encoded before", () => {
    const page = samplePage("words", 1, 4096);
    const first = encode(page).slice();
    encode(samplePage("noise", 2, 65_536));
    expect(encode(page)).toEqual(first);
  });

  it("spends 4,114 bytes on 4,096 that do not compress", () => {
    expect(encode(samplePage("noise", 5, 4096))).toHaveLength(4114);
  });

  it("writes from the offset that it is given and stays within the room that it asks for", () => {
    fc.assert(
      fc.property(samples, ({ kind, seed, size }) => {
        const source = samplePage(kind, seed, size);
        const roomEnd = 10 + lz4BlockBytesMax(size);
        const target = new Uint8Array(roomEnd + 50).fill(0xee);
        const end = 10 + encodeLz4Block(source, target, 10);
        expect(sameBytes(decode(target.subarray(10, end), size), source)).toBe(true);
        const around = [...target.subarray(0, 10), ...target.subarray(roomEnd)];
        expect(around.every((byte) => byte === 0xee)).toBe(true);
      }),
    );
  });
});

describe("decodeLz4Block", () => {
  it("decodes what lz4js encodes", () => {
    fc.assert(
      fc.property(samples, ({ kind, seed, size }) => {
        const source = samplePage(kind, seed, size);
        const target = new Uint8Array(lz4BlockBytesMax(size));
        const written = compressBlock(source, target, 0, size, new Uint32Array(65_536));
        fc.pre(written > 0);
        expect(sameBytes(decode(target.subarray(0, written), size), source)).toBe(true);
      }),
    );
  });

  it("copies matches of every length from every distance, near the end and far from it", () => {
    for (let distance = 1; distance <= 24; distance++) {
      for (let length = 4; length < 19 + 255; length++) {
        for (const tail of [5, 40]) {
          const start = Array.from({ length: distance }, (_, i) => i + 1);
          const expected = [...start];
          for (let i = 0; i < length; i++) expected.push(expected[expected.length - distance]);
          const end = Array.from({ length: tail }, (_, i) => 200 - i);
          const block = [
            ...(distance < 15 ? [(distance << 4) | Math.min(length - 4, 15)] : []),
            ...(distance < 15 ? [] : [0xf0 | Math.min(length - 4, 15), distance - 15]),
            ...start,
            distance,
            0,
            ...(length < 19 ? [] : [length - 19]),
            ...(tail < 15 ? [tail << 4] : [0xf0, tail - 15]),
            ...end,
          ];
          const page = decode(Uint8Array.from(block), distance + length + tail);
          expect(sameBytes(page, Uint8Array.from([...expected, ...end]))).toBe(true);
        }
      }
    }
  });

  it.each([
    ["an empty block", [], 4, "it ends too early"],
    ["a block that ends within its literals", [0x50, 1, 2], 5, "it ends too early"],
    ["a block that ends within a literal length", [0xf0], 32, "it ends too early"],
    ["a literal length that never ends", [0xf0, 255, 255], 999, "it ends too early"],
    ["a block that ends within a distance", [0x10, 7, 1], 5, "it ends too early"],
    ["a block that ends behind a match", [0x10, 7, 1, 0], 5, "it ends too early"],
    ["a match length that never ends", [0x1f, 7, 1, 0, 255], 999, "it ends too early"],
    ["a distance of 0", [0x10, 7, 0, 0, 0], 5, "a match has distance 0"],
    ["a distance before the start", [0x10, 7, 2, 0, 0], 5, "a match reaches back before its start"],
    ["more literals than fit", [0x30, 1, 2, 3], 2, "it holds more than 2 bytes"],
    ["a match longer than fits", [0x10, 7, 1, 0, 0], 4, "it holds more than 4 bytes"],
    ["fewer bytes than a page", [0x30, 1, 2, 3], 4, "it holds 3 bytes, not 4"],
  ])("refuses %s", (_name, block: readonly number[], size, message) => {
    expect(() => decode(Uint8Array.from(block), size)).toThrow(
      expect.objectContaining({
        code: "CORRUPT_PAGE",
        message: `the LZ4 block is damaged: ${message}`,
      }),
    );
  });

  it("throws CORRUPT_PAGE or fills its target, never anything else, on noise and on bit flips", () => {
    const block = encode(samplePage("words", 3, 512));
    const flips = fc.nat({ max: block.length * 8 - 1 }).map((bit) => {
      const copy = block.slice();
      copy[bit >> 3] ^= 1 << (bit & 7);
      return copy;
    });
    let refused = 0;
    fc.assert(
      fc.property(fc.oneof(flips, fc.uint8Array({ maxLength: 600 })), (damaged) => {
        const target = new Uint8Array(2 * 512);
        try {
          decodeLz4Block(damaged, target.subarray(0, 512));
        } catch (error) {
          expect(error).toMatchObject({ code: "CORRUPT_PAGE" });
          refused++;
        }
        expect(target.subarray(512).every((byte) => byte === 0)).toBe(true);
      }),
    );
    expect(refused).toBeGreaterThan(0);
  });
});
