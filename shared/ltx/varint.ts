import { ReplicaError } from "../errors.ts";

/** A place in a block of varints; reading moves `offset` on. */
export interface VarintCursor {
  readonly bytes: Uint8Array;
  offset: number;
}

/** Longest varint that holds a safe integer (53 bits, 7 a byte). */
export const VARINT_BYTES_MAX = 8;

/**
 * Reads one unsigned LEB128 integer and moves the cursor behind it.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` when it runs past the block, exceeds 2^53 − 1, or is longer
 *   than it need be.
 */
export function readUvarint(cursor: VarintCursor): number {
  const { bytes } = cursor;
  const start = cursor.offset;
  let value = 0;
  let unit = 1;
  for (let offset = start; offset < start + VARINT_BYTES_MAX; offset++) {
    if (offset >= bytes.length) {
      throw new ReplicaError("CORRUPT_PAGE", `the varint at byte ${start} runs past its block`);
    }
    const byte = bytes[offset];
    value += (byte & 0x7f) * unit;
    if (byte < 0x80) {
      if (byte === 0 && offset > start) {
        throw new ReplicaError("CORRUPT_PAGE", `the varint at byte ${start} is padded with zeros`);
      }
      if (value > Number.MAX_SAFE_INTEGER) break;
      cursor.offset = offset + 1;
      return value;
    }
    unit *= 0x80;
  }
  throw new ReplicaError("CORRUPT_PAGE", `the varint at byte ${start} is larger than 2^53 - 1`);
}

/** Writes `value` (an integer, 0 to 2^53 − 1) into `target`; returns the offset behind it. */
export function writeUvarint(target: Uint8Array, offset: number, value: number): number {
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) target[offset++] = (rest % 0x80) | 0x80;
  target[offset++] = rest;
  return offset;
}

/** How many bytes `writeUvarint` writes for a value. */
export function uvarintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}
