import { ReplicaError, isReplicaError, throwIfAborted } from "../errors.ts";
import { STORE_REQUESTS_MAX } from "../limits.ts";
import { lockPgno } from "../sqlite/database-header.ts";
import { inParallel } from "./in-parallel.ts";
import { limitRequests } from "./limit-requests.ts";
import { locatePages } from "./locate-pages.ts";
import { planPageRanges } from "./page-ranges.ts";
import { readPages } from "./read-pages.ts";
import { reopenSnapshot, type OpenPlanOptions, type Snapshot } from "./snapshot.ts";

/** One piece of the stream, in bytes of pages; a few are in memory at a time. */
const PIECE_BYTES = 1024 * 1024;
/** Pieces fetched ahead of the one that is being taken. */
const PIECES_AHEAD = 2;
const GAP_BYTES_MAX = 16 * 1024;

type Reopen = (snapshot: Snapshot, options: OpenPlanOptions) => Promise<Snapshot>;

export interface StreamDatabaseOptions {
  /** Part of the database file; the whole of it when left out. In bytes, within the file. */
  readonly range?: { readonly offset: number; readonly length: number } | undefined;
  /** As `PageReaderOptions` has it. */
  readonly reopen?: Reopen;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The database file of a snapshot, or a part of it, in order: page 1 as it is stored, zeros for the
 * lock page. What is taken slowly is fetched slowly, and whoever stops early leaves no read behind.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE`, `VERSION_EXPIRED` when the files are gone for good, `ABORTED`.
 */
export async function* streamDatabase(
  snapshot: Snapshot,
  { range, reopen = reopenSnapshot, signal }: StreamDatabaseOptions = {},
): AsyncGenerator<Uint8Array> {
  const { pageSize, commit } = snapshot;
  const offset = range?.offset ?? 0;
  const end = offset + (range?.length ?? commit * pageSize);
  const stop = new AbortController();
  const onAbort = () => stop.abort(signal?.reason);
  if (signal?.aborted) onAbort();
  signal?.addEventListener("abort", onAbort, { once: true });
  const source = new PieceSource(snapshot, reopen, stop.signal);
  const pagesAPiece = Math.max(1, Math.floor(PIECE_BYTES / pageSize));
  const lastPgno = end > offset ? Math.ceil(end / pageSize) : 0;
  let nextPgno = Math.floor(offset / pageSize) + 1;
  const pending: { firstPgno: number; piece: Promise<Uint8Array> }[] = [];
  try {
    while (nextPgno <= lastPgno || pending.length > 0) {
      throwIfAborted(stop.signal);
      while (nextPgno <= lastPgno && pending.length <= PIECES_AHEAD) {
        const piece = source.read(nextPgno, Math.min(nextPgno + pagesAPiece - 1, lastPgno));
        // It may fail while an earlier one is being taken, and before anybody awaits it.
        piece.catch(() => undefined);
        pending.push({ firstPgno: nextPgno, piece });
        nextPgno += pagesAPiece;
      }
      const [first] = pending;
      const bytes = await first.piece;
      pending.shift();
      const startsAt = (first.firstPgno - 1) * pageSize;
      yield bytes.subarray(Math.max(0, offset - startsAt), Math.min(bytes.length, end - startsAt));
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
    stop.abort();
    await Promise.allSettled(pending.map(({ piece }) => piece));
  }
}

/** Reads runs of pages; plans again at the same TXID, once, when an object has gone. */
class PieceSource {
  readonly #snapshot: Snapshot;
  readonly #reopen: Reopen;
  readonly #signal: AbortSignal;
  /** Shared by the pieces of this one stream that find an object gone. */
  #reopened: Promise<Snapshot> | undefined;

  constructor(snapshot: Snapshot, reopen: Reopen, signal: AbortSignal) {
    const { replica } = snapshot;
    this.#reopen = reopen;
    const store = limitRequests(replica.store, STORE_REQUESTS_MAX);
    this.#snapshot = { ...snapshot, replica: { ...replica, store } };
    this.#signal = signal;
  }

  async read(firstPgno: number, lastPgno: number): Promise<Uint8Array> {
    const signal = this.#signal;
    const reopened = this.#reopened;
    try {
      return await readRun((await reopened) ?? this.#snapshot, { firstPgno, lastPgno, signal });
    } catch (error) {
      if (!isReplicaError(error, "OBJECT_MISSING") || reopened) throw error;
      this.#reopened ??= this.#reopen(this.#snapshot, { signal });
      return await readRun(await this.#reopened, { firstPgno, lastPgno, signal });
    }
  }
}

interface PageRun {
  readonly firstPgno: number;
  readonly lastPgno: number;
  readonly signal: AbortSignal;
}

async function readRun(
  snapshot: Snapshot,
  { firstPgno, lastPgno, signal }: PageRun,
): Promise<Uint8Array> {
  const { pageSize, pages } = snapshot;
  const pgnos = Array.from({ length: lastPgno - firstPgno + 1 }, (_, index) => firstPgno + index);
  const wanted = pgnos.filter((pgno) => pgno !== lockPgno(pageSize));
  const found = await locatePages(pages, wanted, { replica: snapshot.replica, signal });
  const places = { get: (pgno: number) => found.get(pgno)?.location };
  const missing = wanted.find((pgno) => !places.get(pgno));
  if (missing !== undefined) {
    const sentence = `page ${missing} of ${snapshot.commit} is in none of the LTX files of its plan`;
    throw new ReplicaError("CORRUPT_PAGE", sentence);
  }
  const piece = new Uint8Array(pgnos.length * pageSize);
  const options = { lengthMax: PIECE_BYTES, gapMax: GAP_BYTES_MAX, pageSize };
  const ranges = planPageRanges(places, wanted, options);
  await inParallel(ranges, STORE_REQUESTS_MAX, async (range) => {
    const pages = await readPages(snapshot, range, { signal });
    for (const { pgno, page } of pages) piece.set(page, (pgno - firstPgno) * pageSize);
  });
  return piece;
}
