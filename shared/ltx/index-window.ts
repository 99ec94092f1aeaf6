/**
 * A part of a page index, read by itself. Three varints make an entry, and nothing marks where one
 * begins: a part from the middle is synchronised by what holds for every index. Page numbers ascend
 * and each frame begins where the one before it ends, and of the three ways to cut the varints into
 * entries only one can keep to that for long. Where more than one does, nothing is claimed.
 */
import { ReplicaError } from "../errors.ts";
import { LTX_HEADER_BYTES } from "./header.ts";
import { PAGE_HEADER_BYTES } from "./page-frame.ts";
import { readUvarint, VARINT_BYTES_MAX, type VarintCursor } from "./varint.ts";

const PGNO_MAX = 0xffff_ffff;
const FIELDS = 3;

/** Entries that follow one another in an index, at least one. */
export interface IndexWindow {
  /** Where its first entry begins, in bytes from the start of the index. */
  readonly start: number;
  /** Where the entry behind its last one begins. */
  readonly end: number;
  /** Ascending. */
  readonly pgnos: Uint32Array;
  /** Where each frame begins in the file, and behind them where the last one ends. */
  readonly offsets: Float64Array;
}

/** Where the bytes of a window come from. */
export interface IndexPart {
  /** Bytes from the start of the index to the first of them. */
  readonly start: number;
  /** The first byte begins an entry; otherwise it may lie anywhere. */
  readonly isAligned: boolean;
  /** The last byte is the zero that closes the index. */
  readonly isEnd: boolean;
}

/**
 * Reads the whole entries in a part of an index.
 *
 * @returns Undefined when the part holds no whole entry, or does not tell where its entries begin.
 * @throws {ReplicaError} `CORRUPT_PAGE` when it can be no part of any index.
 */
export function readIndexWindow(
  bytes: Uint8Array,
  { start, isAligned, isEnd }: IndexPart,
): IndexWindow | undefined {
  const fields = readFields(bytes, { isAligned, isEnd });
  if (fields.values.length === 0) return undefined;
  const phases = isAligned ? [0] : [0, 1, 2];
  const sound = phases.filter((phase) => isSound(fields, phase, isEnd));
  if (sound.length === 0) refuse("page numbers do not ascend or frames do not follow one another");
  const [phase] = sound;
  const count = Math.floor((fields.values.length - phase) / FIELDS);
  if (sound.length > 1 || count === 0) return undefined;
  const { values, begins } = fields;
  const pgnos = new Uint32Array(count);
  const offsets = new Float64Array(count + 1);
  for (let entry = 0; entry < count; entry++) {
    const field = phase + entry * FIELDS;
    pgnos[entry] = values[field];
    offsets[entry] = values[field + 1];
    offsets[entry + 1] = values[field + 1] + values[field + 2];
  }
  const end = start + begins[phase + count * FIELDS];
  return { start: start + begins[phase], end, pgnos, offsets };
}

/** The entry of a page in a window: undefined when it has none. */
export function findInWindow(
  { pgnos, offsets }: IndexWindow,
  pgno: number,
): { offset: number; size: number } | undefined {
  let low = 0;
  let high = pgnos.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    if (pgnos[middle] === pgno) {
      const offset = offsets[middle];
      return { offset, size: offsets[middle + 1] - offset };
    }
    if (pgnos[middle] < pgno) low = middle + 1;
    else high = middle - 1;
  }
  return undefined;
}

/** The whole varints of a part. */
interface Fields {
  readonly values: number[];
  /** Where each begins in the part, and behind them where what follows begins. */
  readonly begins: number[];
}

function readFields(
  bytes: Uint8Array,
  { isAligned, isEnd }: Pick<IndexPart, "isAligned" | "isEnd">,
): Fields {
  const end = isEnd ? bytes.length : wholeVarintsEnd(bytes);
  const cursor: VarintCursor = { bytes: bytes.subarray(0, end), offset: 0 };
  // A last byte of a varint ends it: behind the first of them a varint begins for certain.
  if (!isAligned) cursor.offset = varintEnd(bytes, 0);
  const values: number[] = [];
  const begins: number[] = [];
  while (cursor.offset < end) {
    begins.push(cursor.offset);
    values.push(readUvarint(cursor));
  }
  begins.push(cursor.offset);
  return { values, begins };
}

function varintEnd(bytes: Uint8Array, offset: number): number {
  let end = offset;
  while (end < bytes.length && bytes[end] >= 0x80) end++;
  if (end - offset >= VARINT_BYTES_MAX) refuse("a number in it is longer than any can be");
  return Math.min(end + 1, bytes.length);
}

/** Where the last varint that is whole ends. */
function wholeVarintsEnd(bytes: Uint8Array): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] >= 0x80) end--;
  return end;
}

/** Whether the fields, cut into entries from the one at `phase` on, keep to what an index keeps to. */
function isSound({ values }: Fields, phase: number, isEnd: boolean): boolean {
  const closing = values.length - 1;
  if (isEnd && (values[closing] !== 0 || (closing - phase) % FIELDS !== 0)) return false;
  const end = isEnd ? closing : values.length;
  let previousPgno = 0;
  let expectedOffset: number | undefined;
  for (let field = phase; field < end; field += FIELDS) {
    const pgno = values[field];
    if (pgno <= previousPgno || pgno > PGNO_MAX) return false;
    if (field + 1 >= end) break;
    const offset = values[field + 1];
    if (offset < LTX_HEADER_BYTES || (expectedOffset ?? offset) !== offset) return false;
    if (field + 2 >= end) break;
    const size = values[field + 2];
    if (size <= PAGE_HEADER_BYTES) return false;
    previousPgno = pgno;
    expectedOffset = offset + size;
  }
  return true;
}

function refuse(what: string): never {
  throw new ReplicaError("CORRUPT_PAGE", `the page index is damaged: ${what}`);
}
