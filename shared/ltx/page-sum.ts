import { installedKernel } from "./kernel.ts";

/** The key's front, with which the results of both passes become one. */
const FINAL_KEY_BYTES = 16;
/** The second pass takes the key from so much further on. */
const SHIFT_BYTES = 32;
const STRETCH_WORDS = 8;
const WORD = 0x1_0000_0000;

/** Bytes of the key for pages of `pageSize` bytes; they are to be random, and nobody else's. */
export function pageSumKeyBytes(pageSize: number): number {
  return FINAL_KEY_BYTES + pageSize + SHIFT_BYTES;
}

/**
 * A sum of a page in 64 bits, by which a page that changed is told from one that did not.
 *
 * It is a universal hash, so what it promises is proven and holds for every two different pages that were
 * chosen without knowledge of the key, whoever chose them: they have the same sum for at most 2^-63 of all
 * keys. Of itself it hides nothing, and must not be shown to whoever chooses pages.
 *
 * First NH (UMAC, Black et al. 1999) twice: of each 32 bytes, the first four words, with the key added modulo
 * 2^32, are multiplied with the second four, and all products are added modulo 2^64. For pages that differ the
 * results agree with a probability of 2^-32, and in both passes with 2^-64: the second uses the key from 32 bytes
 * further on, so the last words that differ are added there to a part of the key that the first pass adds only to
 * words that do not. Then both results become one: each is multiplied with 64 more bits of the key, in the field of
 * 2^64 elements, and the products are added. For different pairs that is the same with 2^-64.
 *
 * @param page Its size is a multiple of 32, at most 65,536.
 * @param key As many bytes as `pageSumKeyBytes` says.
 */
export function sumPage(page: Uint8Array, key: Uint8Array): bigint {
  const kernel = installedKernel();
  if (kernel) return kernel.sumPage(page, key);
  const words = wordsOf(page);
  const keys = wordsOf(key);
  const first = sumOfProducts(words, keys, FINAL_KEY_BYTES / 4);
  const second = sumOfProducts(words, keys, (FINAL_KEY_BYTES + SHIFT_BYTES) / 4);
  const sum: Halves = { high: 0, low: 0 };
  addProduct(sum, first, keys[1], keys[0]);
  addProduct(sum, second, keys[3], keys[2]);
  return (BigInt(sum.high >>> 0) << 32n) | BigInt(sum.low >>> 0);
}

/** A number of 64 bits. */
interface Halves {
  high: number;
  low: number;
}

function sumOfProducts(words: Uint32Array, keys: Uint32Array, keyAt: number): Halves {
  // Each half with room above: numbers are exact up to 2^53.
  let low = 0;
  let high = 0;
  for (let at = 0; at < words.length; at += STRETCH_WORDS) {
    for (let i = at; i < at + STRETCH_WORDS / 2; i++) {
      const left = (words[i] + keys[keyAt + i]) >>> 0;
      const right = (words[i + 4] + keys[keyAt + i + 4]) >>> 0;
      const lowProduct = left * (right & 0xffff);
      const highProduct = left * (right >>> 16);
      low += (lowProduct >>> 0) + (highProduct & 0xffff) * 0x1_0000;
      high += Math.floor(lowProduct / WORD) + Math.floor(highProduct / 0x1_0000);
    }
  }
  return { high: (high + Math.floor(low / WORD)) | 0, low: low | 0 };
}

/** Adds to `sum` the product of two polynomials over two elements, modulo x^64 + x^4 + x^3 + x + 1. */
function addProduct(sum: Halves, { high, low }: Halves, otherHigh: number, otherLow: number): void {
  for (let bit = 0; bit < 64; bit++) {
    const isSet = bit < 32 ? otherLow >>> bit : otherHigh >>> (bit - 32);
    if (isSet & 1) {
      sum.high ^= high;
      sum.low ^= low;
    }
    const over = high >>> 31;
    high = (high << 1) | (low >>> 31);
    low = (low << 1) ^ (over * 0x1b);
  }
}

/** The bytes as little-endian words, wherever in memory they lie. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const words = new Uint32Array(bytes.length / 4);
  for (let i = 0; i < words.length; i++) words[i] = view.getUint32(4 * i, true);
  return words;
}
