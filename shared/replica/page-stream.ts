import { ReplicaError, isReplicaError, throwIfAborted } from "../errors.ts";
import { lockPgno } from "../sqlite/database-header.ts";
import { inParallel } from "./in-parallel.ts";
import { readPages } from "./page-reader.ts";
import { planPageRanges } from "./page-ranges.ts";
import { openSnapshot, type Snapshot } from "./snapshot.ts";

/** One piece of the stream, in bytes of pages; a few are in memory at a time. */
const PIECE_BYTES = 1024 * 1024;
/** Pieces fetched ahead of the one that is being taken. */
const PIECES_AHEAD = 2;
/** Reads in flight for one piece: with the pieces ahead they fill a Worker's six connections. */
const REQUESTS_A_PIECE = 2;
const GAP_BYTES_MAX = 16 * 1024;

export interface StreamDatabaseOptions {
  /** Part of the database file; the whole of it when left out. In bytes, within the file. */
  readonly range?: { readonly offset: number; readonly length: number } | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The database file of a snapshot, or a part of it, in order: page 1 as it is stored, zeros for the
 * lock page. What is taken slowly is fetched slowly.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE`, `VERSION_EXPIRED` when the files are gone for good, `ABORTED`.
 */
export async function* streamDatabase(
  snapshot: Snapshot,
  { range, signal }: StreamDatabaseOptions = {},
): AsyncGenerator<Uint8Array> {
  const { pageSize, commit } = snapshot;
  const offset = range?.offset ?? 0;
  const end = offset + (range?.length ?? commit * pageSize);
  const source = new PieceSource(snapshot, signal);
  const pagesAPiece = Math.max(1, Math.floor(PIECE_BYTES / pageSize));
  const lastPgno = Math.ceil(end / pageSize);
  let nextPgno = Math.floor(offset / pageSize) + 1;
  const pending: { firstPgno: number; piece: Promise<Uint8Array> }[] = [];
  while (nextPgno <= lastPgno || pending.length > 0) {
    while (nextPgno <= lastPgno && pending.length <= PIECES_AHEAD) {
      const piece = source.read(nextPgno, Math.min(nextPgno + pagesAPiece - 1, lastPgno));
      // When an earlier piece fails nobody awaits this one any more; its error must not be stray.
      piece.catch(() => undefined);
      pending.push({ firstPgno: nextPgno, piece });
      nextPgno += pagesAPiece;
    }
    const first = pending.shift();
    if (!first) return;
    throwIfAborted(signal);
    const bytes = await first.piece;
    const startsAt = (first.firstPgno - 1) * pageSize;
    yield bytes.subarray(Math.max(0, offset - startsAt), Math.min(bytes.length, end - startsAt));
  }
}

/** Reads runs of pages; plans again at the same TXID, once, when an object has gone. */
class PieceSource {
  readonly #snapshot: Snapshot;
  readonly #signal: AbortSignal | undefined;
  /** Shared by the pieces of this one stream that find an object gone. */
  #plannedAgain: Promise<Snapshot> | undefined;

  constructor(snapshot: Snapshot, signal: AbortSignal | undefined) {
    this.#snapshot = snapshot;
    this.#signal = signal;
  }

  async read(firstPgno: number, lastPgno: number): Promise<Uint8Array> {
    const signal = this.#signal;
    const again = this.#plannedAgain;
    try {
      return await readRun((await again) ?? this.#snapshot, firstPgno, lastPgno, signal);
    } catch (error) {
      if (!isReplicaError(error, "OBJECT_MISSING") || again) throw error;
      const { replica, txid } = this.#snapshot;
      this.#plannedAgain ??= openSnapshot(replica, { kind: "txid", txid }, { signal });
      return await readRun(await this.#plannedAgain, firstPgno, lastPgno, signal);
    }
  }
}

async function readRun(
  snapshot: Snapshot,
  firstPgno: number,
  lastPgno: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const { pageSize, pages } = snapshot;
  const pgnos = Array.from({ length: lastPgno - firstPgno + 1 }, (_, index) => firstPgno + index);
  const missing = pgnos.find((pgno) => pgno !== lockPgno(pageSize) && !pages.get(pgno));
  if (missing !== undefined) {
    const sentence = `page ${missing} of ${snapshot.commit} is in none of the LTX files of its plan`;
    throw new ReplicaError("CORRUPT_PAGE", sentence);
  }
  const piece = new Uint8Array(pgnos.length * pageSize);
  const options = { lengthMax: PIECE_BYTES, gapMax: GAP_BYTES_MAX };
  const ranges = planPageRanges(pages, pgnos, options);
  await inParallel(ranges, REQUESTS_A_PIECE, async (range) => {
    const read = await readPages(snapshot, range, signal);
    for (const { pgno, page } of read.pages) piece.set(page, (pgno - firstPgno) * pageSize);
  });
  return piece;
}
