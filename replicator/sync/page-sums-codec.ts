import { Crc64 } from "../../shared/ltx/checksum.ts";
import type { Txid } from "../../shared/ltx/txid.ts";
import { PageChanges, PageSums, SUMS_KEY_BYTES, type SumsPoint } from "./page-sums.ts";

/*
 * The file: a head (magic, page size, point, key), 8 bytes a page, a CRC-64 of all that; and behind it one
 * record for each TXID since: point, number of pages, their numbers and sums, a CRC-64 of the record.
 * Integers are big-endian but for the sums at the front, which are as this machine has them in memory.
 */

/** "EDDYSUM2". Sums of another kind, as "EDDYSUM1" has them, count as none: they are made anew. */
const MAGIC = 0x4544_4459_5355_4d32n;
const POINT_BYTES = 28;
const HEAD_BYTES = 8 + 4 + POINT_BYTES + SUMS_KEY_BYTES;
const RECORD_HEAD_BYTES = POINT_BYTES + 4;
const CHANGE_BYTES = 4 + 8;
const CRC_BYTES = 8;

/** The front of the file: all sums at one TXID. In three pieces, the sums as they lie in memory. */
export function encodePageSums({ pageSize, key, sums, point }: PageSums): Uint8Array[] {
  if (!point) return [];
  const head = new Uint8Array(HEAD_BYTES);
  const view = new DataView(head.buffer);
  view.setBigUint64(0, MAGIC);
  view.setUint32(8, pageSize);
  putPoint(view, 12, point);
  head.set(key, 12 + POINT_BYTES);
  const body = new Uint8Array(sums.buffer, sums.byteOffset, sums.byteLength);
  return [head, body, crcOf(head, body)];
}

/** What one further file changed. */
export function encodeRecord(point: SumsPoint, { count, pgnos, sums }: PageChanges): Uint8Array {
  const bytes = new Uint8Array(recordBytes(count));
  const view = new DataView(bytes.buffer);
  putPoint(view, 0, point);
  view.setUint32(POINT_BYTES, count);
  let offset = RECORD_HEAD_BYTES;
  for (const [index, pgno] of pgnos.entries()) {
    view.setUint32(offset, pgno);
    view.setBigUint64(offset + 4, sums[index] ?? 0n);
    offset += CHANGE_BYTES;
  }
  bytes.set(crcOf(bytes.subarray(0, offset)), offset);
  return bytes;
}

export interface DecodedSums {
  readonly sums: PageSums;
  /** Size of the front, in bytes. */
  readonly frontBytes: number;
  /** How far the file is sound: up to its end, unless a record was cut off or damaged. */
  readonly soundBytes: number;
}

/** Reads a file as far as it is sound. Undefined when its front is not, or is of pages of another size. */
export function decodePageSums(bytes: Uint8Array, pageSize: number): DecodedSums | undefined {
  if (bytes.length < HEAD_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getBigUint64(0) !== MAGIC || view.getUint32(8) !== pageSize) return undefined;
  const point = pointAt(view, 12);
  const sumsEnd = HEAD_BYTES + 8 * point.commit;
  if (!hasCrc(bytes, 0, sumsEnd)) return undefined;
  // Copied: the file's bytes need not lie where words may, and a buffer's `slice` copies nothing.
  const key = new Uint8Array(bytes.subarray(12 + POINT_BYTES, HEAD_BYTES));
  const values = new BigUint64Array(new Uint8Array(bytes.subarray(HEAD_BYTES, sumsEnd)).buffer);
  const sums = new PageSums(pageSize, key, values, point);
  const frontBytes = sumsEnd + CRC_BYTES;
  let soundBytes = frontBytes;
  // Bounded by the file: every pass reads a whole record or ends.
  for (;;) {
    const next = takeRecord(bytes, view, soundBytes, sums);
    if (next === undefined) return { sums, frontBytes, soundBytes };
    soundBytes = next;
  }
}

/** Takes the record at `offset`, and answers where it ends; undefined when there is no sound one. */
function takeRecord(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  sums: PageSums,
): number | undefined {
  if (bytes.length - offset < RECORD_HEAD_BYTES) return undefined;
  const point = pointAt(view, offset);
  const count = view.getUint32(offset + POINT_BYTES);
  const end = offset + recordBytes(count);
  const previous = sums.point?.txid ?? 0n;
  if (!hasCrc(bytes, offset, end - CRC_BYTES) || point.txid !== previous + 1n) return undefined;
  const changes = new PageChanges(count);
  for (let at = offset + RECORD_HEAD_BYTES; at < end - CRC_BYTES; at += CHANGE_BYTES) {
    changes.add(view.getUint32(at), view.getBigUint64(at + 4));
  }
  sums.take(point, changes);
  return end;
}

function recordBytes(count: number): number {
  return RECORD_HEAD_BYTES + count * CHANGE_BYTES + CRC_BYTES;
}

function putPoint(view: DataView, offset: number, point: SumsPoint): void {
  view.setBigUint64(offset, point.txid);
  view.setBigUint64(offset + 8, point.fileChecksum);
  view.setBigUint64(offset + 16, BigInt(point.timestampMs));
  view.setUint32(offset + 24, point.commit);
}

function pointAt(view: DataView, offset: number): SumsPoint {
  return {
    txid: view.getBigUint64(offset) as Txid,
    fileChecksum: view.getBigUint64(offset + 8),
    timestampMs: Number(view.getBigUint64(offset + 16)),
    commit: view.getUint32(offset + 24),
  };
}

function crcOf(...pieces: readonly Uint8Array[]): Uint8Array {
  const crc = new Crc64();
  for (const piece of pieces) crc.update(piece);
  const bytes = new Uint8Array(CRC_BYTES);
  new DataView(bytes.buffer).setBigUint64(0, crc.digest());
  return bytes;
}

/** Says whether `bytes` from `start` to `end` are followed by their CRC. */
function hasCrc(bytes: Uint8Array, start: number, end: number): boolean {
  const stored = bytes.subarray(end, end + CRC_BYTES);
  if (stored.length < CRC_BYTES) return false;
  return Buffer.compare(stored, crcOf(bytes.subarray(start, end))) === 0;
}
