import { ReplicaError, isReplicaError } from "../errors.ts";
import { STORE_REQUESTS_MAX } from "../limits.ts";
import { lockPgno } from "../sqlite/database-header.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { inParallel } from "./in-parallel.ts";
import { limitRequests } from "./limit-requests.ts";
import { fileIdentity } from "./ltx-file.ts";
import type { PageCache } from "./page-cache.ts";
import { planPageRanges } from "./page-ranges.ts";
import { ReadAhead } from "./readahead.ts";
import { readPages } from "./read-pages.ts";
import { reopenSnapshot, type Snapshot } from "./snapshot.ts";

/** Largest window of read-ahead, in bytes of pages. */
const WINDOW_BYTES_MAX = 1024 * 1024;
/** What read-ahead may fetch for nothing beyond as much as was used, in bytes of pages. */
const WASTE_BYTES_MAX = 64 * 1024;
/** What one ranged read takes at most, in bytes. */
const RANGE_BYTES_MAX = 1024 * 1024;
/** Frames so close to one another are read together: asking twice costs more. In bytes. */
const GAP_BYTES_MAX = 4 * 1024;

/** Pages that were asked for last and stay at hand, however small the cache is and whoever fills it. */
const PINNED_MAX = 8;

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
 *
 * Loads may run side by side: they share the reads, and never more than `requestsMax` are in flight.
 * A reader belongs to one request of a Worker, since no promise may be shared between two.
 */
export class PageReader {
  readonly pageSize: number;
  /** Size of the database, in pages. */
  readonly pageCount: number;
  #snapshot: Snapshot;
  #identities: readonly string[];
  /** Planning again, begun by the first load that found an object gone. */
  #reopening: Promise<void> | undefined;
  readonly #cache: PageCache;
  readonly #store: ObjectStore;
  readonly #requestsMax: number;
  readonly #readAhead: ReadAhead;
  readonly #lockPgno: number;
  /** Pages that a load is fetching. */
  readonly #underWay = new Map<number, Promise<void>>();
  readonly #pinned = new Map<number, Uint8Array>();
  readonly #stats = { faults: 0, pages: 0, requests: 0, bytes: 0 };

  constructor(snapshot: Snapshot, { cache, requestsMax = STORE_REQUESTS_MAX }: PageReaderOptions) {
    this.#snapshot = snapshot;
    this.#identities = snapshot.plan.files.map(fileIdentity);
    this.#cache = cache;
    this.#store = limitRequests(snapshot.replica.store, requestsMax);
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
    const page = this.#cached(pgno) ?? this.#pinned.get(pgno);
    if (page) this.#readAhead.onUse(pgno);
    return page;
  }

  /**
   * Fetches a page, and what a scan that it seems to belong to will ask for next. The page is then
   * at hand until some others have been loaded.
   *
   * @throws {ReplicaError} `CORRUPT_PAGE` when no file holds the page or its frame is damaged,
   *   `VERSION_EXPIRED` when the TXID cannot be restored any more, `ABORTED`, `R2_ERROR`.
   */
  async load(pgno: number, signal?: AbortSignal): Promise<void> {
    this.#stats.faults++;
    // Bounded by the loads that run: each pass waits for one to end. Whether it fails is its own affair.
    for (
      let other = this.#underWay.get(pgno);
      other !== undefined;
      other = this.#underWay.get(pgno)
    ) {
      await other.catch(() => undefined);
    }
    const page = this.#cached(pgno);
    if (page) return this.#pin(pgno, page);
    const wanted = this.#readAhead.onFault(pgno);
    const loading = this.#loadAll(wanted, signal);
    for (const wantedPgno of wanted) this.#underWay.set(wantedPgno, loading);
    try {
      await loading;
    } finally {
      for (const wantedPgno of wanted) this.#underWay.delete(wantedPgno);
    }
  }

  #cached(pgno: number): Uint8Array | undefined {
    const place = this.#snapshot.pages.get(pgno);
    return place && this.#cache.get(this.#identities[place.file], place.offset);
  }

  #isAtHand(pgno: number): boolean {
    const place = this.#snapshot.pages.get(pgno);
    if (!place || this.#underWay.has(pgno)) return true;
    return this.#cache.has(this.#identities[place.file], place.offset);
  }

  #pin(pgno: number, page: Uint8Array): void {
    this.#pinned.delete(pgno);
    this.#pinned.set(pgno, page);
    for (const oldest of this.#pinned.keys()) {
      if (this.#pinned.size <= PINNED_MAX) break;
      this.#pinned.delete(oldest);
    }
  }

  async #loadAll(wanted: readonly number[], signal: AbortSignal | undefined): Promise<void> {
    const before = this.#snapshot;
    try {
      await this.#fetch(wanted, signal);
    } catch (error) {
      if (!isReplicaError(error, "OBJECT_MISSING")) throw error;
      // Once for a reader: what was read from the new plan and has gone too is an error.
      if (before === this.#snapshot) {
        const hasReopened = this.#reopening !== undefined;
        this.#reopening ??= this.#reopen(signal);
        await this.#reopening;
        if (hasReopened && before === this.#snapshot) throw error;
      }
      await this.#fetch(wanted, signal);
    }
  }

  async #reopen(signal: AbortSignal | undefined): Promise<void> {
    const cache = this.#cache;
    this.#snapshot = await reopenSnapshot(this.#snapshot, { signal, cache });
    this.#identities = this.#snapshot.plan.files.map(fileIdentity);
  }

  /** Fetches pages of which the first was asked for and the others come along. */
  async #fetch(pgnos: readonly number[], signal: AbortSignal | undefined): Promise<void> {
    const [asked] = pgnos;
    const { pages, replica, commit } = this.#snapshot;
    if (!pages.get(asked)) {
      const sentence = `page ${asked} of ${commit} is in none of the LTX files of its plan`;
      throw new ReplicaError("CORRUPT_PAGE", sentence);
    }
    const identities = this.#identities;
    const snapshot = { ...this.#snapshot, replica: { ...replica, store: this.#store } };
    const isAsked = (pgno: number) => pgno === asked;
    const { pageSize } = this;
    const options = { lengthMax: RANGE_BYTES_MAX, gapMax: GAP_BYTES_MAX, pageSize };
    await inParallel(planPageRanges(pages, pgnos, options), this.#requestsMax, async (range) => {
      this.#stats.requests++;
      const read = await readPages(snapshot, range, { isAsked, signal });
      this.#stats.bytes += read.bytes;
      this.#stats.pages += read.pages.length;
      for (const { pgno, offset, page } of read.pages) {
        this.#cache.set(identities[range.file], offset, page);
        if (pgno === asked) this.#pin(pgno, page);
      }
    });
  }
}
