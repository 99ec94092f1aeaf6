/** Write-ahead logs that the real SQLite wrote, and doctored ones whose checksums fit all the same. */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;

export interface WalImage {
  readonly pageSize: number;
  readonly bytes: Buffer;
  /** Size of the log right behind each transaction, in bytes. */
  readonly ends: readonly number[];
  /** The database file as a checkpoint of the whole log leaves it. */
  readonly database: Buffer;
}

export interface WalScript {
  readonly pageSize?: number;
  /** The SQL of each transaction. */
  readonly transactions: readonly string[];
}

/** Runs each transaction on a new database whose log is never checkpointed meanwhile. */
export function makeWalImage({ pageSize = 512, transactions }: WalScript): WalImage {
  const folder = mkdtempSync(join(tmpdir(), "eddy-wal-"));
  const path = join(folder, "wal.db");
  try {
    const database = new DatabaseSync(path);
    database.exec(
      `PRAGMA page_size = ${pageSize}; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0`,
    );
    const ends = transactions.map((sql) => {
      database.exec(`BEGIN; ${sql}; COMMIT`);
      return readFileSync(`${path}-wal`).length;
    });
    const bytes = readFileSync(`${path}-wal`);
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    database.close();
    return { pageSize, bytes, ends, database: readFileSync(path) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Offsets of all frames of a log, in bytes. */
export function frameOffsets({ bytes, pageSize }: Pick<WalImage, "bytes" | "pageSize">): number[] {
  const frameBytes = FRAME_HEADER_BYTES + pageSize;
  const count = Math.floor((bytes.length - HEADER_BYTES) / frameBytes);
  return Array.from({ length: count }, (_, index) => HEADER_BYTES + index * frameBytes);
}

/**
 * A copy of `log` in which every checksum fits what is there, in the byte order that is asked for. It
 * adds up word by word as the format's description says, and shares nothing with what it is to test.
 */
export function withChecksums(log: Buffer, pageSize: number, isBigEndian: boolean): Buffer {
  const copy = Buffer.from(log);
  copy.writeUInt32BE(isBigEndian ? 0x377f0683 : 0x377f0682, 0);
  let sums = sumWords([0n, 0n], copy.subarray(0, 24), isBigEndian);
  writeSums(copy, 24, sums);
  for (const offset of frameOffsets({ bytes: copy, pageSize })) {
    const page = offset + FRAME_HEADER_BYTES;
    sums = sumWords(sums, copy.subarray(offset, offset + 8), isBigEndian);
    sums = sumWords(sums, copy.subarray(page, page + pageSize), isBigEndian);
    writeSums(copy, offset + 16, sums);
  }
  return copy;
}

type Sums = readonly [bigint, bigint];

/** `s0 += x + s1; s1 += y + s0` for each pair of words, modulo 2^32. */
export function sumWords([start0, start1]: Sums, bytes: Uint8Array, isBigEndian: boolean): Sums {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let [s0, s1] = [start0, start1];
  for (let offset = 0; offset < bytes.length; offset += 8) {
    s0 = BigInt.asUintN(32, s0 + BigInt(view.getUint32(offset, !isBigEndian)) + s1);
    s1 = BigInt.asUintN(32, s1 + BigInt(view.getUint32(offset + 4, !isBigEndian)) + s0);
  }
  return [s0, s1];
}

function writeSums(bytes: Buffer, offset: number, [s0, s1]: Sums): void {
  bytes.writeUInt32BE(Number(s0), offset);
  bytes.writeUInt32BE(Number(s1), offset + 4);
}

/**
 * Adds a whole transaction behind the log's last commit: one frame a page, all with the same byte. It
 * is what an application leaves that dies, or fails, between writing its commit and saying so in the
 * log's index: for SQLite it was never committed, and the next transaction is written over it.
 */
export function appendUnacknowledgedCommit(path: string, pgnos: readonly number[]): void {
  const log = readFileSync(path);
  const pageSize = log.readUInt32BE(8);
  const pageCount = log.readUInt32BE(log.length - pageSize - FRAME_HEADER_BYTES + 4);
  const frames = pgnos.map((pgno, index) => {
    const frame = Buffer.alloc(FRAME_HEADER_BYTES + pageSize, 0xee);
    frame.writeUInt32BE(pgno, 0);
    frame.writeUInt32BE(index === pgnos.length - 1 ? pageCount : 0, 4);
    log.copy(frame, 8, 16, 24);
    return frame;
  });
  const whole = withChecksums(Buffer.concat([log, ...frames]), pageSize, false);
  const fd = openSync(path, "r+");
  writeSync(fd, whole, log.length, whole.length - log.length, log.length);
  closeSync(fd);
}
