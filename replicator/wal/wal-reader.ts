import { closeSync, fstatSync, openSync } from "node:fs";
import { readAt, readInto } from "../files/read-at.ts";
import { updateWalChecksum, type WalChecksum } from "./wal-checksum.ts";
import {
  parseWalHeader,
  WAL_FRAME_HEADER_BYTES,
  WAL_HEADER_BYTES,
  type WalHeader,
} from "./wal-header.ts";

/** Read at a time, in bytes, rounded to whole frames. */
const CHUNK_BYTES = 1024 * 1024;
/** Used again by every batch: a megabyte of its own for each look at the log keeps the collector busy. */
let scratch = new Uint8Array(0);

/** One frame, to be known again. */
interface FrameMark {
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly checksum: WalChecksum;
}

/** A place in one beginning of the log, right behind a commit frame or the header. */
export interface WalPosition {
  readonly header: WalHeader;
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** The chain's checksum at that place. */
  readonly checksum: WalChecksum;
  /** The first frame of the last transaction before that place. None right behind the header. */
  readonly lastTransaction?: FrameMark | undefined;
}

/** What a stretch of the log commits. */
export interface WalBatch {
  /** Newest version of each page: where its data lies in the log, in bytes. */
  readonly pages: ReadonlyMap<number, number>;
  /** Size of the database after the last commit, in pages. */
  readonly commit: number;
  readonly start: WalPosition;
  readonly end: WalPosition;
}

/** The log's file, open for reading. The application's locks lie elsewhere, so it may be opened and closed freely. */
export class WalFile implements Disposable {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Undefined when there is no log. */
  static open(path: string): WalFile | undefined {
    try {
      return new WalFile(openSync(path, "r"));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  read(offset: number, length: number): Uint8Array {
    return readAt(this.#fd, offset, length);
  }

  sizeBytes(): number {
    return fstatSync(this.#fd).size;
  }

  /** The same into `bytes`, as much as fits. */
  readInto(bytes: Uint8Array, offset: number): Uint8Array {
    return readInto(bytes, this.#fd, offset);
  }

  header(): WalHeader | undefined {
    return parseWalHeader(this.read(0, WAL_HEADER_BYTES));
  }
}

/** The header of the log at `path` now; undefined when there is none, or it is being begun at this moment. */
export function readWalHeader(path: string): WalHeader | undefined {
  using wal = WalFile.open(path);
  return wal?.header();
}

/** The place right behind the header. */
export function walStart(header: WalHeader): WalPosition {
  return { header, offset: WAL_HEADER_BYTES, checksum: header.checksum };
}

/** Frames between the header and `position`. */
export function walFrameCount({ header, offset }: WalPosition): number {
  return (offset - WAL_HEADER_BYTES) / walFrameBytes(header);
}

/** The least bytes of a log that holds so many frames. */
export function walBytesOf(frames: number, { pageSize }: Pick<WalHeader, "pageSize">): number {
  return WAL_HEADER_BYTES + frames * (WAL_FRAME_HEADER_BYTES + pageSize);
}

/**
 * Says whether the last transaction before `position` still stands in the log. A commit is in the file
 * a moment before it counts. Where the application dies in that moment, or its disk fails, the next
 * transaction is written over it: from its first frame on, and not always as far as its last.
 */
export function hasLastTransaction(file: WalFile, position: WalPosition): boolean {
  const { header, lastTransaction } = position;
  if (!lastTransaction) return true;
  const frame = file.read(lastTransaction.offset, WAL_FRAME_HEADER_BYTES);
  if (frame.length < WAL_FRAME_HEADER_BYTES) return false;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const [s0, s1] = lastTransaction.checksum;
  return (
    view.getUint32(8) === header.salt1 &&
    view.getUint32(12) === header.salt2 &&
    view.getUint32(16) === s0 &&
    view.getUint32(20) === s1
  );
}

function walFrameBytes({ pageSize }: WalHeader): number {
  return WAL_FRAME_HEADER_BYTES + pageSize;
}

/**
 * Reads the transactions that are committed behind `start`. A frame counts when its salts are the
 * header's and its checksum continues the chain; frames without a commit frame behind them do not
 * count, and are read again next time.
 *
 * @param bytesMax Ends with the first commit beyond so many bytes.
 * @returns Undefined when nothing is committed there.
 */
export function readWalBatch(
  file: WalFile,
  start: WalPosition,
  bytesMax = Number.POSITIVE_INFINITY,
): WalBatch | undefined {
  const { header } = start;
  const frameBytes = walFrameBytes(header);
  const framesAChunk = Math.max(1, Math.floor(CHUNK_BYTES / frameBytes));
  const pages = new Map<number, number>();
  const transaction = new Map<number, number>();
  let lastTransaction: FrameMark | undefined;
  let end = start;
  let commit = 0;
  let { offset, checksum } = start;
  const chunkBytes = framesAChunk * frameBytes;
  if (scratch.length < chunkBytes) scratch = new Uint8Array(chunkBytes);
  // Bounded by the file: every pass reads a whole frame or ends.
  for (;;) {
    const chunk = file.readInto(scratch.subarray(0, chunkBytes), offset);
    const frames = Math.floor(chunk.length / frameBytes);
    for (let index = 0; index < frames; index++) {
      const frame = chunk.subarray(index * frameBytes, (index + 1) * frameBytes);
      const read = readFrame(frame, header, checksum);
      if (!read) return finish();
      ({ checksum } = read);
      if (transaction.size === 0) lastTransaction = { offset, checksum };
      transaction.set(read.pgno, offset + WAL_FRAME_HEADER_BYTES);
      offset += frameBytes;
      if (read.commit === 0) continue;
      for (const [pgno, place] of transaction) pages.set(pgno, place);
      transaction.clear();
      ({ commit } = read);
      end = { header, offset, checksum, lastTransaction };
      if (offset - start.offset >= bytesMax) return finish();
    }
    if (frames < framesAChunk) return finish();
  }

  function finish(): WalBatch | undefined {
    return end === start ? undefined : { pages, commit, start, end };
  }
}

/**
 * Says whether at least `frames` frames lie behind `start`, by the salts of the last of them. Cheap, and
 * good enough to choose a pace by: no checksum is looked at.
 */
export function hasWalFrames(
  file: WalFile,
  { header, offset }: WalPosition,
  frames: number,
): boolean {
  const last = file.read(offset + (frames - 1) * walFrameBytes(header), WAL_FRAME_HEADER_BYTES);
  if (last.length < WAL_FRAME_HEADER_BYTES) return false;
  const view = new DataView(last.buffer, last.byteOffset, last.length);
  return view.getUint32(8) === header.salt1 && view.getUint32(12) === header.salt2;
}

interface WalFrame {
  readonly pgno: number;
  /** Size of the database in pages in a frame that commits; otherwise 0. */
  readonly commit: number;
  readonly checksum: WalChecksum;
}

/** Undefined when the frame is not the next one of this chain. */
function readFrame(
  frame: Uint8Array,
  { salt1, salt2, isBigEndian }: WalHeader,
  previous: WalChecksum,
): WalFrame | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, WAL_FRAME_HEADER_BYTES);
  if (view.getUint32(8) !== salt1 || view.getUint32(12) !== salt2) return undefined;
  const ofHeader = updateWalChecksum(previous, frame.subarray(0, 8), isBigEndian);
  const page = frame.subarray(WAL_FRAME_HEADER_BYTES);
  const checksum = updateWalChecksum(ofHeader, page, isBigEndian);
  if (checksum[0] !== view.getUint32(16) || checksum[1] !== view.getUint32(20)) return undefined;
  const pgno = view.getUint32(0);
  return pgno === 0 ? undefined : { pgno, commit: view.getUint32(4), checksum };
}
