/** The codec's WebAssembly, judged by its TypeScript: the same verdict on everything. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { assert } from "../../../shared/assert.ts";
import { isReplicaError } from "../../../shared/errors.ts";
import { Crc64 } from "../../../shared/ltx/checksum.ts";
import { installedKernel } from "../../../shared/ltx/kernel.ts";
import { decodeLz4Block, encodeLz4Block, lz4BlockBytesMax } from "../../../shared/ltx/lz4-block.ts";
import { decodePageFrame, encodePageFrame } from "../../../shared/ltx/page-frame.ts";
import { concatBytes, PAGE_KINDS, sameBytes, samplePage } from "../../support/ltx-fixtures.ts";

const HEAD_BYTES = 10;
/** So short a piece goes through TypeScript, whatever is in place. */
const PIECE_BYTES = 100;

const kernel = installedKernel();
assert(kernel, "these tests run where the kernel is in place");

const kinds = fc.constantFrom(...PAGE_KINDS);
const seeds = fc.integer({ min: 1 });
const sizes = fc.oneof(
  fc.integer({ min: 0, max: 80 }),
  fc.constantFrom(512, 1024, 4096, 65_536),
  fc.integer({ min: 0, max: 65_536 }),
);

function blockOf(page: Uint8Array): Uint8Array {
  const target = new Uint8Array(lz4BlockBytesMax(page.length));
  return target.slice(0, encodeLz4Block(page, target, 0));
}

/** A frame for the kernel, which does not look at its fields. */
function frameOf(block: Uint8Array): Uint8Array {
  return concatBytes([new Uint8Array(HEAD_BYTES), block]);
}

function plainCrc(bytes: Uint8Array, crc = new Crc64()): Crc64 {
  for (let offset = 0; offset < bytes.length; offset += PIECE_BYTES) {
    crc.update(bytes.subarray(offset, offset + PIECE_BYTES));
  }
  return crc;
}

/** The page, or the sentence of the refusal. */
function verdict(decode: () => Uint8Array): Uint8Array | string {
  try {
    return decode();
  } catch (error) {
    if (isReplicaError(error, "CORRUPT_PAGE")) return error.message;
    throw error;
  }
}

/** Has both decode `block`; returns their verdict after making sure that it is one. */
function decodeWithBoth(block: Uint8Array, size: number): Uint8Array | string {
  const plain = verdict(() => {
    const target = new Uint8Array(size);
    decodeLz4Block(block, target);
    return target;
  });
  const fast = verdict(() => kernel!.decodeFrame(frameOf(block), size));
  if (typeof plain === "string" || typeof fast === "string") expect(fast).toBe(plain);
  else expect(sameBytes(fast, plain)).toBe(true);
  return fast;
}

describe("the kernel's LZ4", () => {
  it("encodes to the very bytes that TypeScript encodes to, and decodes them", () => {
    fc.assert(
      fc.property(kinds, seeds, sizes, (kind, seed, size) => {
        const page = samplePage(kind, seed, size);
        const target = new Uint8Array(HEAD_BYTES + lz4BlockBytesMax(size));
        const length = kernel.encodeFrame(seed, page, target, 0, new Crc64());
        const block = target.subarray(HEAD_BYTES, length);
        expect(sameBytes(block, blockOf(page))).toBe(true);
        expect(sameBytes(kernel.decodeFrame(target.subarray(0, length), size), page)).toBe(true);
      }),
    );
  });

  it("agrees on every block in which some bytes were changed, cut off or added", () => {
    let refused = 0;
    let accepted = 0;
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 });
    const ends = fc.oneof(fc.constant(0), fc.integer({ min: -40, max: 3 }));
    fc.assert(
      fc.property(kinds, seeds, changes, ends, (kind, seed, changed, end) => {
        const whole = blockOf(samplePage(kind, seed, 4096));
        const block = new Uint8Array(Math.max(0, whole.length + end));
        block.set(whole.subarray(0, block.length));
        for (const [place, value] of changed) if (block.length) block[place % block.length] = value;
        if (typeof decodeWithBoth(block, 4096) === "string") refused++;
        else accepted++;
      }),
      { numRuns: 3000 },
    );
    expect(refused).toBeGreaterThan(100);
    expect(accepted).toBeGreaterThan(100);
  });

  it("agrees on every single bit that flips in a block", () => {
    const block = blockOf(samplePage("words", 3, 512));
    for (let bit = 0; bit < block.length * 8; bit++) {
      const flipped = block.slice();
      flipped[bit >> 3] ^= 1 << (bit & 7);
      decodeWithBoth(flipped, 512);
    }
  });

  it("agrees on noise, on tokens that promise much, and on pages of other sizes", () => {
    const loud = fc.uint8Array({ maxLength: 700 });
    const greedy = fc.array(fc.constantFrom(0, 1, 2, 4, 15, 16, 31, 240, 254, 255), {
      maxLength: 90,
    });
    const blocks = fc.oneof(
      loud,
      greedy.map((bytes) => Uint8Array.from(bytes)),
    );
    fc.assert(
      fc.property(blocks, fc.constantFrom(0, 1, 16, 17, 300, 512, 65_536), (block, size) => {
        decodeWithBoth(block, size);
      }),
      { numRuns: 5000 },
    );
  });

  it("copies matches of every length from every distance as TypeScript does", () => {
    for (let distance = 1; distance <= 40; distance++) {
      for (let length = 4; length < 80; length++) {
        const start = Array.from({ length: distance }, (_, i) => i + 1);
        const block = [
          (Math.min(distance, 15) << 4) | Math.min(length - 4, 15),
          ...(distance < 15 ? [] : [distance - 15]),
          ...start,
          distance,
          0,
          ...(length < 19 ? [] : [length - 19]),
          0x10,
          99,
        ];
        const page = decodeWithBoth(Uint8Array.from(block), distance + length + 1);
        expect(page).toBeInstanceOf(Uint8Array);
      }
    }
  });

  it("refuses a block that is longer than any page's, instead of writing it over its memory", () => {
    for (const size of [65_820, 200_000, 1_000_000]) {
      expect(() => kernel.decodeFrame(new Uint8Array(size), 65_536)).toThrow(
        "the LZ4 block is damaged",
      );
    }
    expect(() =>
      kernel.encodeFrame(1, new Uint8Array(65_537), new Uint8Array(70_000), 0, new Crc64()),
    ).toThrow("at most 65,536");
    const page = samplePage("words", 1, 65_536);
    expect(sameBytes(kernel.decodeFrame(frameOf(blockOf(page)), 65_536), page)).toBe(true);
  });
});

describe("the kernel's CRC-64", () => {
  it("goes on as TypeScript does, whatever the length and however it is cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(kinds, seeds, fc.integer({ min: 0, max: 700 })), { maxLength: 6 }),
        (pieces) => {
          const fast = new Crc64();
          const plain = new Crc64();
          for (const [kind, seed, size] of pieces) {
            const bytes = samplePage(kind, seed, size);
            kernel.update(fast, bytes);
            plainCrc(bytes, plain);
          }
          expect(fast.digest()).toBe(plain.digest());
        },
      ),
    );
    for (const size of [0, 63, 64, 65, 95, 96, 127, 128, 65_536, 65_537, 200_003]) {
      const bytes = samplePage("noise", size + 1, size);
      const fast = new Crc64();
      kernel.update(fast, bytes);
      expect(fast.digest()).toBe(plainCrc(bytes).digest());
    }
  });

  it("covers of a frame what a file's checksum covers: ten bytes and the page", () => {
    fc.assert(
      fc.property(kinds, seeds, fc.constantFrom(512, 4096, 65_536), (kind, pgno, size) => {
        const page = samplePage(kind, pgno, size);
        const target = new Uint8Array(size * 2);
        const written = new Crc64().update(Uint8Array.of(1, 2, 3));
        const length = encodePageFrame({ pgno, page }, target, "block", {
          offset: 5,
          checksum: written,
        });
        const frame = target.subarray(5, 5 + length);
        const expected = plainCrc(Uint8Array.of(1, 2, 3));
        plainCrc(page, plainCrc(frame.subarray(0, HEAD_BYTES), expected));
        expect(written.digest()).toBe(expected.digest());
        const read = new Crc64().update(Uint8Array.of(1, 2, 3));
        expect(decodePageFrame(frame, size, read).pgno).toBe(pgno);
        expect(read.digest()).toBe(expected.digest());
      }),
    );
  });
});
