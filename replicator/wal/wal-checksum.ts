/** The two running sums of a write-ahead log's checksum, 32 bits each, unsigned. */
export type WalChecksum = readonly [number, number];

const IS_LITTLE_ENDIAN_HOST = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/**
 * Goes on with a chain of checksums: for each pair of words `s0 += x + s1; s1 += y + s0`.
 *
 * @param bytes A multiple of 8 bytes.
 * @param isBigEndian Byte order of the words, as the log's magic number says.
 */
export function updateWalChecksum(
  [start0, start1]: WalChecksum,
  bytes: Uint8Array,
  isBigEndian: boolean,
): WalChecksum {
  const isNative = isBigEndian !== IS_LITTLE_ENDIAN_HOST;
  return isNative && bytes.byteOffset % 4 === 0
    ? sumWords(start0, start1, new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4))
    : sumView(start0, start1, bytes, !isBigEndian);
}

function sumWords(start0: number, start1: number, words: Uint32Array): WalChecksum {
  let s0 = start0 | 0;
  let s1 = start1 | 0;
  for (let i = 0; i < words.length; i += 2) {
    s0 = (s0 + words[i] + s1) | 0;
    s1 = (s1 + words[i + 1] + s0) | 0;
  }
  return [s0 >>> 0, s1 >>> 0];
}

function sumView(
  start0: number,
  start1: number,
  bytes: Uint8Array,
  isLittleEndian: boolean,
): WalChecksum {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let s0 = start0 | 0;
  let s1 = start1 | 0;
  for (let offset = 0; offset < bytes.length; offset += 8) {
    s0 = (s0 + view.getUint32(offset, isLittleEndian) + s1) | 0;
    s1 = (s1 + view.getUint32(offset + 4, isLittleEndian) + s0) | 0;
  }
  return [s0 >>> 0, s1 >>> 0];
}
