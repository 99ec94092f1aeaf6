/**
 * LZ4 blocks, strictly: the decoder refuses every structural fault, the encoder keeps the rules at
 * the end of a block that liblz4 insists on. It is our own because lz4js keeps neither.
 *
 * @see https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
 */
import { ReplicaError } from "../errors.ts";

const MATCH_BYTES_MIN = 4;
/** A block's last bytes are literals. */
const LAST_LITERALS = 5;
/** The last match starts at least so far from the block's end. */
const MATCH_START_LIMIT = 12;
/** Length that does not fit its four bits; more bytes follow. */
const LENGTH_MASK = 15;

const HASH_BITS = 12;
/** Multiplier of Fibonacci hashing: 2^32 divided by the golden ratio. */
const HASH_MULTIPLIER = 0x9e3779b1;
/** Misses in a row, times 64, after which the search steps one byte further at a time. */
const SKIP_SHIFT = 6;
/** What `copyShort` copies at most, and overwrites at its target. */
const SHORT_BYTES = 20;
/** From so many bytes on, a call to the engine's copy is quicker than a loop. */
const LONG_BYTES = 48;

/** Where a four-byte sequence was last seen in the block. Zeroed per block: 0 is a place like any other. */
const hashTable = new Uint16Array(1 << HASH_BITS);

/** Most bytes that a block of `size` bytes can encode to. */
export function lz4BlockBytesMax(size: number): number {
  return size + Math.floor(size / 255) + 16;
}

/**
 * Encodes `source`, at most 65,536 bytes, into `target` from `targetOffset` on, where there must be
 * room for `lz4BlockBytesMax(source.length)`; what the block leaves of that room may be overwritten.
 *
 * @returns How many bytes it wrote.
 */
export function encodeLz4Block(
  source: Uint8Array,
  target: Uint8Array,
  targetOffset: number,
): number {
  // The views are for reading and writing four bytes at a time, wherever they lie. They and the
  // limits are kept in variables because the engine reads them more slowly from the arrays.
  const from = viewOf(source);
  const to = viewOf(target);
  const matchStartEnd = source.length - MATCH_START_LIMIT;
  const matchEnd = source.length - LAST_LITERALS;
  let written = targetOffset;
  let anchor = 0;
  let position = 1;
  let misses = 1 << SKIP_SHIFT;
  hashTable.fill(0);
  while (position <= matchStartEnd) {
    const sequence = from.getInt32(position, true);
    const slot = hash(sequence);
    let match = hashTable[slot];
    hashTable[slot] = position;
    if (from.getInt32(match, true) !== sequence) {
      // Bounded: each pass moves on by at least one byte, and by more where nothing compresses.
      position += misses++ >> SKIP_SHIFT;
      continue;
    }
    misses = 1 << SKIP_SHIFT;
    while (position > anchor && match > 0 && source[position - 1] === source[match - 1]) {
      position--;
      match--;
    }
    const distance = position - match;
    const end = extendMatch(from, position + MATCH_BYTES_MIN, distance, matchEnd);
    const token = written;
    written = writeLiterals(source, from, anchor, position, target, to, token);
    to.setUint16(written, distance, true);
    written = writeLength(target, token, 0, end - position - MATCH_BYTES_MIN, written + 2);
    anchor = position = end;
    if (position <= matchStartEnd) {
      hashTable[hash(from.getInt32(position - 2, true))] = position - 2;
    }
  }
  return writeLiterals(source, from, anchor, source.length, target, to, written) - targetOffset;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function hash(sequence: number): number {
  return Math.imul(sequence, HASH_MULTIPLIER) >>> (32 - HASH_BITS);
}

/** Where the bytes from `start` on stop to be those `distance` before; `limit` at the latest. */
function extendMatch(view: DataView, start: number, distance: number, limit: number): number {
  let end = start;
  while (end + 4 <= limit && view.getInt32(end, true) === view.getInt32(end - distance, true)) {
    end += 4;
  }
  while (end < limit && view.getUint8(end) === view.getUint8(end - distance)) end++;
  return end;
}

/** Writes a token with its literals; the match length is still to be put into the token. */
function writeLiterals(
  source: Uint8Array,
  from: DataView,
  start: number,
  end: number,
  target: Uint8Array,
  to: DataView,
  token: number,
): number {
  const count = end - start;
  target[token] = 0;
  const written = writeLength(target, token, 4, count, token + 1);
  const isShort =
    count <= SHORT_BYTES &&
    start + SHORT_BYTES <= source.length &&
    written + SHORT_BYTES <= target.length;
  if (isShort) copyShort(from, start, to, written, count);
  else copyBytes(source, start, target, written, count);
  return written + count;
}

/** Puts `length` into the token at `shift`, and what does not fit there into bytes from `written` on. */
function writeLength(
  target: Uint8Array,
  token: number,
  shift: number,
  length: number,
  written: number,
): number {
  if (length < LENGTH_MASK) {
    target[token] |= length << shift;
    return written;
  }
  target[token] |= LENGTH_MASK << shift;
  let rest = length - LENGTH_MASK;
  for (; rest >= 255; rest -= 255) target[written++] = 255;
  target[written++] = rest;
  return written;
}

/**
 * Copies `count` bytes, at most 20, four at a time: quicker than a loop over the bytes. What lies
 * behind them at the target, up to 20 bytes in all, is overwritten; what comes next must write it
 * again. Within one array the two places must be at least four bytes apart.
 */
function copyShort(
  from: DataView,
  fromOffset: number,
  to: DataView,
  toOffset: number,
  count: number,
): void {
  to.setInt32(toOffset, from.getInt32(fromOffset, true), true);
  to.setInt32(toOffset + 4, from.getInt32(fromOffset + 4, true), true);
  if (count <= 8) return;
  to.setInt32(toOffset + 8, from.getInt32(fromOffset + 8, true), true);
  to.setInt32(toOffset + 12, from.getInt32(fromOffset + 12, true), true);
  to.setInt32(toOffset + 16, from.getInt32(fromOffset + 16, true), true);
}

/** Copies `count` bytes, and no other, from one array to another. */
function copyBytes(
  source: Uint8Array,
  start: number,
  target: Uint8Array,
  targetStart: number,
  count: number,
): void {
  if (count >= LONG_BYTES) {
    target.set(source.subarray(start, start + count), targetStart);
    return;
  }
  for (let i = 0; i < count; i++) target[targetStart + i] = source[start + i];
}

/**
 * Decodes `block` into the whole of `target`.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` when the block is damaged or holds more or fewer bytes.
 */
export function decodeLz4Block(block: Uint8Array, target: Uint8Array): void {
  const end = decodeLz4BlockAt(block, target, 0, 0);
  if (end < target.length) refuse(`it holds ${end} bytes, not ${target.length}`);
}

/**
 * Decodes `block` into `target` from `start` on; its matches may reach back to `historyStart`, into
 * what earlier blocks of the same frame left there. What lies behind its content in `target` may be
 * overwritten.
 *
 * @returns Where in `target` its content ends.
 * @throws {ReplicaError} `CORRUPT_PAGE` when the block is damaged or overruns `target`.
 */
export function decodeLz4BlockAt(
  block: Uint8Array,
  target: Uint8Array,
  start: number,
  historyStart: number,
): number {
  const from = viewOf(block);
  const to = viewOf(target);
  const blockEnd = block.length;
  const targetEnd = target.length;
  let read = 0;
  let written = start;
  // Bounded: every pass reads a token.
  while (read < blockEnd) {
    const token = block[read++];
    let length = token >>> 4;
    if (length === LENGTH_MASK) {
      let more = 255;
      for (; more === 255 && read < blockEnd; length += more) more = block[read++];
      if (more === 255) break;
    }
    if (read + length > blockEnd) break;
    if (written + length > targetEnd) refuseOverrun(target);
    if (
      length <= SHORT_BYTES &&
      read + SHORT_BYTES <= blockEnd &&
      written + SHORT_BYTES <= targetEnd
    ) {
      copyShort(from, read, to, written, length);
    } else {
      copyBytes(block, read, target, written, length);
    }
    read += length;
    written += length;
    if (read === blockEnd) return written;
    if (read + 2 > blockEnd) break;
    const distance = block[read] | (block[read + 1] << 8);
    read += 2;
    if (distance === 0) refuse("a match has distance 0");
    if (written - distance < historyStart) refuse("a match reaches back before its start");
    length = token & LENGTH_MASK;
    if (length === LENGTH_MASK) {
      let more = 255;
      for (; more === 255 && read < blockEnd; length += more) more = block[read++];
      if (more === 255) break;
    }
    length += MATCH_BYTES_MIN;
    if (written + length > targetEnd) refuseOverrun(target);
    if (length <= SHORT_BYTES && distance >= 4 && written + SHORT_BYTES <= targetEnd) {
      copyShort(to, written - distance, to, written, length);
    } else {
      copyMatch(target, written, distance, length);
    }
    written += length;
  }
  return refuse("it ends too early");
}

function copyMatch(target: Uint8Array, start: number, distance: number, length: number): void {
  const end = start + length;
  let from = start - distance;
  if (length >= LONG_BYTES && distance >= length) {
    target.copyWithin(start, from, from + length);
  } else if (length >= LONG_BYTES && distance === 1) {
    target.fill(target[from], start, end);
  } else {
    // Byte by byte, for a match may overlap what it writes.
    for (let to = start; to < end; to++) target[to] = target[from++];
  }
}

function refuseOverrun(target: Uint8Array): never {
  return refuse(`it holds more than ${target.length} bytes`);
}

function refuse(what: string): never {
  throw new ReplicaError("CORRUPT_PAGE", `the LZ4 block is damaged: ${what}`);
}
