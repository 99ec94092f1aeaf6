import { ReplicaError, isReplicaError } from "../errors.ts";
import { STORE_REQUESTS_MAX } from "../limits.ts";
import { lockPgno } from "../sqlite/database-header.ts";
import { inParallel } from "./in-parallel.ts";
import { decodeFrameOf, fileIdentity } from "./ltx-file.ts";
import type { PageCache } from "./page-cache.ts";
import { planPageRanges, type PageRange } from "./page-ranges.ts";
import { ReadAhead } from "./readahead.ts";
import { readObject } from "./read-object.ts";
import { openSnapshot, type Snapshot } from "./snapshot.ts";

/** Largest window of read-ahead, in bytes of pages. */
const WINDOW_BYTES_MAX = 1024 * 1024;
/** What read-ahead may fetch for nothing beyond as much as was used, in bytes of pages. */
const WASTE_BYTES_MAX = 64 * 1024;
/** What one ranged read takes at most, in bytes. */
const RANGE_BYTES_MAX = 1024 * 1024;
/** Frames so close to one another are read together: asking twice costs more. In bytes. */
const GAP_BYTES_MAX = 4 * 1024;

export interface PageReaderOptions {
  readonly cache: PageCache;
  /** Reads in flight at a time. */
  readonly requestsMax?: number;
}

/** What a reader has cost so far. */
export interface PageReaderStats {
  /** Times that a page was asked for and had to be waited for. */
  readonly faults: number;
  /** Pages that were fetched, those that came along included. */
  readonly pages: number;
  readonly requests: number;
  /** Bytes that the bucket answered. */
  readonly bytes: number;
}

/**
 * Pages of one snapshot by number, for one query: out of the cache, or fetched with as few ranged
 * reads as their places allow. Every read pins the object's ETag; where an object has gone, it plans
 * again at the same TXID, once.
 */
export class PageReader {
  readonly pageSize: number;
  /** Size of the database, in pages. */
  readonly pageCount: number;
  #snapshot: Snapshot;
  #identities: readonly string[];
  #hasPlannedAgain = false;
  readonly #cache: PageCache;
  readonly #requestsMax: number;
  readonly #readAhead: ReadAhead;
  readonly #lockPgno: number;
  readonly #stats = { faults: 0, pages: 0, requests: 0, bytes: 0 };

  constructor(snapshot: Snapshot, { cache, requestsMax = STORE_REQUESTS_MAX }: PageReaderOptions) {
    this.#snapshot = snapshot;
    this.#identities = snapshot.plan.files.map(fileIdentity);
    this.#cache = cache;
    this.#requestsMax = requestsMax;
    this.pageSize = snapshot.pageSize;
    this.pageCount = snapshot.commit;
    this.#lockPgno = lockPgno(snapshot.pageSize);
    this.#readAhead = new ReadAhead({
      pageCount: snapshot.commit,
      windowPagesMax: Math.max(1, Math.floor(WINDOW_BYTES_MAX / snapshot.pageSize)),
      slackPages: Math.floor(WASTE_BYTES_MAX / snapshot.pageSize),
      isResident: (pgno) => this.#isAtHand(pgno),
    });
  }

  /** What it reads from: another than it was given when it had to plan again. */
  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  get stats(): PageReaderStats {
    return { ...this.#stats };
  }

  /** The page as it is stored, when it is at hand. The lock page is zeros. */
  resident(pgno: number): Uint8Array | undefined {
    if (pgno === this.#lockPgno) return new Uint8Array(this.pageSize);
    const place = this.#snapshot.pages.get(pgno);
    const page = place && this.#cache.get(this.#identities[place.file], place.offset);
    if (page) this.#readAhead.onUse(pgno);
    return page;
  }

  /**
   * Fetches a page, and what a scan that it seems to belong to will ask for next.
   *
   * @throws {ReplicaError} `CORRUPT_PAGE` when no file holds the page or its frame is damaged,
   *   `VERSION_EXPIRED` when the TXID cannot be restored any more, `ABORTED`, `R2_ERROR`.
   */
  async load(pgno: number, signal?: AbortSignal): Promise<void> {
    this.#stats.faults++;
    const wanted = this.#readAhead.onFault(pgno);
    try {
      await this.#fetch(wanted, pgno, signal);
    } catch (error) {
      if (!isReplicaError(error, "OBJECT_MISSING") || this.#hasPlannedAgain) throw error;
      this.#hasPlannedAgain = true;
      const { replica, txid } = this.#snapshot;
      const target = { kind: "txid", txid } as const;
      this.#snapshot = await openSnapshot(replica, target, { signal, cache: this.#cache });
      this.#identities = this.#snapshot.plan.files.map(fileIdentity);
      await this.#fetch(wanted, pgno, signal);
    }
  }

  #isAtHand(pgno: number): boolean {
    const place = this.#snapshot.pages.get(pgno);
    return !place || this.#cache.has(this.#identities[place.file], place.offset);
  }

  async #fetch(
    pgnos: readonly number[],
    asked: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const snapshot = this.#snapshot;
    if (!snapshot.pages.get(asked)) {
      const sentence = `page ${asked} of ${this.pageCount} is in none of the LTX files of its plan`;
      throw new ReplicaError("CORRUPT_PAGE", sentence);
    }
    const options = { lengthMax: RANGE_BYTES_MAX, gapMax: GAP_BYTES_MAX };
    const ranges = planPageRanges(snapshot.pages, pgnos, options);
    let askedPage: Uint8Array | undefined;
    await inParallel(ranges, this.#requestsMax, async (range) => {
      this.#stats.requests++;
      const { bytes, pages } = await readPages(snapshot, range, signal);
      this.#stats.bytes += bytes;
      this.#stats.pages += pages.length;
      for (const { pgno, offset, page } of pages) {
        if (pgno === asked) askedPage = page;
        else this.#cache.set(this.#identities[range.file], offset, page);
      }
    });
    // Last, so that a cache smaller than the window still holds the page that is waited for.
    const place = snapshot.pages.get(asked);
    if (askedPage && place) this.#cache.set(this.#identities[place.file], place.offset, askedPage);
  }
}

/** One page out of a ranged read. */
export interface ReadPage {
  readonly pgno: number;
  /** Where its frame begins in the LTX file, in bytes. */
  readonly offset: number;
  readonly page: Uint8Array;
}

/** Reads one range and decodes its frames; `bytes` says how many the store answered. */
export async function readPages(
  { replica, plan, pageSize }: Snapshot,
  range: PageRange,
  signal: AbortSignal | undefined,
): Promise<{ bytes: number; pages: ReadPage[] }> {
  const info = plan.files[range.file];
  const { bytes } = await readObject(replica, info, range, signal);
  const pages = range.frames.map(({ pgno, offset, size }) => {
    const start = offset - range.offset;
    const page = decodeInFile(info.key, pgno, bytes.subarray(start, start + size), pageSize);
    return { pgno, offset, page };
  });
  return { bytes: bytes.length, pages };
}

function decodeInFile(key: string, pgno: number, frame: Uint8Array, pageSize: number): Uint8Array {
  try {
    return decodeFrameOf(pgno, frame, pageSize);
  } catch (cause) {
    if (!isReplicaError(cause, "CORRUPT_PAGE")) throw cause;
    throw new ReplicaError("CORRUPT_PAGE", `"${key}" is damaged: ${cause.message}`, { cause });
  }
}
