import { updateWalChecksum, type WalChecksum } from "./wal-checksum.ts";

export const WAL_HEADER_BYTES = 32;
export const WAL_FRAME_HEADER_BYTES = 24;

const MAGIC_LITTLE_ENDIAN = 0x377f0682;
const MAGIC_BIG_ENDIAN = 0x377f0683;
const VERSION = 3_007_000;

/** The first 32 bytes of a write-ahead log. */
export interface WalHeader {
  /** In bytes. */
  readonly pageSize: number;
  /** Counts how often the log was begun anew. */
  readonly checkpointSequence: number;
  readonly salt1: number;
  readonly salt2: number;
  /** Byte order of the words that checksums add up. */
  readonly isBigEndian: boolean;
  /** Where the chain of frame checksums begins. */
  readonly checksum: WalChecksum;
}

/**
 * Reads a log's header. Undefined when `bytes` do not hold a whole, sound one: then there is no log
 * yet, or it is being begun at this moment.
 *
 * @see https://www.sqlite.org/fileformat2.html#the_write_ahead_log
 */
export function parseWalHeader(bytes: Uint8Array): WalHeader | undefined {
  if (bytes.length < WAL_HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, WAL_HEADER_BYTES);
  const magic = view.getUint32(0);
  if (magic !== MAGIC_LITTLE_ENDIAN && magic !== MAGIC_BIG_ENDIAN) return undefined;
  if (view.getUint32(4) !== VERSION) return undefined;
  const isBigEndian = magic === MAGIC_BIG_ENDIAN;
  const checksum = updateWalChecksum([0, 0], bytes.subarray(0, 24), isBigEndian);
  if (checksum[0] !== view.getUint32(24) || checksum[1] !== view.getUint32(28)) return undefined;
  return {
    pageSize: view.getUint32(8),
    checkpointSequence: view.getUint32(12),
    salt1: view.getUint32(16),
    salt2: view.getUint32(20),
    isBigEndian,
    checksum,
  };
}

/** Says whether two headers are of the same beginning of the log. */
export function isSameWal(a: WalHeader, b: WalHeader): boolean {
  return (
    a.salt1 === b.salt1 && a.salt2 === b.salt2 && a.checkpointSequence === b.checkpointSequence
  );
}

/** The same of headers of which either may be missing: a log that is not there is the same as none. */
export function isSameLog(a: WalHeader | undefined, b: WalHeader | undefined): boolean {
  return a && b ? isSameWal(a, b) : a === b;
}
