import { isReplicaError } from "../errors.ts";
import { STORE_REQUESTS_MAX } from "../limits.ts";
import { lockPgno } from "../sqlite/database-header.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { fetchPages } from "./fetch-pages.ts";
import { limitRequests } from "./limit-requests.ts";
import { OpenedPages } from "./opened-pages.ts";
import type { CachedPage, PageCache } from "./page-cache.ts";
import { PrefetchOracle } from "./prefetch/oracle.ts";
import { reopenSnapshot, type OpenPlanOptions, type Snapshot } from "./snapshot.ts";
import { withMethods } from "../storage/with-methods.ts";

/** Largest window of a scan: six reads of a mebibyte, in bytes of frames. */
const WINDOW_BYTES_MAX = 6 * 1024 * 1024;
/** A window takes no larger share of the cache, or others would lose their pages for it, and it its own. */
const WINDOW_CACHE_SHARE = 1 / 8;

/** Pages that were asked for last and stay at hand, however small the cache is and whoever fills it. */
const PINNED_MAX = 8;

export interface PageReaderOptions {
  readonly cache: PageCache;
  /** Reads in flight at a time. */
  readonly requestsMax?: number;
  /**
   * Opens the snapshot's TXID again when an object has gone, once; `reopenSnapshot` when left out.
   * Whoever opened it by an edge bundle reads the bundle's head again here.
   */
  readonly reopen?: (snapshot: Snapshot, options: OpenPlanOptions) => Promise<Snapshot>;
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
  /** Every page that it gave out so far was held against a checksum; so is the lock page, which is zeros. */
  readonly verified: boolean;
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
  #opened: OpenedPages;
  /** Planning again, begun by the first load that found an object gone. */
  #reopening: Promise<void> | undefined;
  readonly #cache: PageCache;
  readonly #reopenSnapshot: NonNullable<PageReaderOptions["reopen"]>;
  readonly #store: ObjectStore;
  readonly #requestsMax: number;
  readonly #oracle: PrefetchOracle;
  readonly #lockPgno: number;
  /** Pages that a load is fetching. */
  readonly #underWay = new Map<number, Promise<void>>();
  readonly #pinned = new Map<number, CachedPage>();
  readonly #stats = { faults: 0, pages: 0, requests: 0, bytes: 0, verified: true };

  constructor(
    snapshot: Snapshot,
    { cache, requestsMax = STORE_REQUESTS_MAX, reopen = reopenSnapshot }: PageReaderOptions,
  ) {
    this.#opened = new OpenedPages(snapshot, cache);
    this.#cache = cache;
    this.#reopenSnapshot = reopen;
    this.#store = limitRequests(this.#metered(snapshot.replica.store), requestsMax);
    this.#requestsMax = requestsMax;
    this.pageSize = snapshot.pageSize;
    this.pageCount = snapshot.commit;
    this.#lockPgno = lockPgno(snapshot.pageSize);
    this.#oracle = new PrefetchOracle({
      pageSize: snapshot.pageSize,
      pageCount: snapshot.commit,
      peek: (pgno) => this.#pinned.get(pgno)?.page ?? this.#opened.peek(pgno),
      isAtHand: (pgno) => this.#isAtHand(pgno),
      frameBytes: (pgno) => this.#opened.snapshot.pages.get(pgno)?.size,
      windowBytesMax: Math.min(WINDOW_BYTES_MAX, Math.floor(cache.bytesMax * WINDOW_CACHE_SHARE)),
    });
  }

  /** What it reads from: another than it was given when it had to plan again. */
  get snapshot(): Snapshot {
    return this.#opened.snapshot;
  }

  get stats(): PageReaderStats {
    return { ...this.#stats };
  }

  /** The page as it is stored, when it is at hand. The lock page is zeros. */
  resident(pgno: number): Uint8Array | undefined {
    if (pgno === this.#lockPgno) return new Uint8Array(this.pageSize);
    const cached = this.#opened.get(pgno) ?? this.#pinned.get(pgno);
    if (!cached) return undefined;
    if (!cached.isVerified) this.#stats.verified = false;
    this.#oracle.onUse(pgno, cached.page);
    return cached.page;
  }

  /**
   * Fetches a page, and what a scan that it seems to belong to will ask for next. The page is then
   * at hand until some others have been loaded.
   *
   * @throws {ReplicaError} `CORRUPT_PAGE` when no file holds the page, its frame is damaged or it does
   *   not match its checksum, `VERSION_EXPIRED` when the TXID cannot be restored any more, `ABORTED`,
   *   `R2_ERROR`.
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
    const cached = this.#opened.get(pgno);
    if (cached) return this.#pin(pgno, cached);
    const wanted = this.#oracle.onFault(pgno);
    const loading = this.#loadAll(wanted, signal);
    for (const wantedPgno of wanted) this.#underWay.set(wantedPgno, loading);
    try {
      await loading;
    } finally {
      for (const wantedPgno of wanted) this.#underWay.delete(wantedPgno);
    }
  }

  /**
   * Notes which trees the statement that runs next reads as a whole, if it reads anything of them: their pages are then
   * fetched ahead from the first on. Where that is wrong, bytes are fetched for nothing, and no more.
   *
   * @param rootPgnos The pages that the trees begin with.
   */
  expectScans(rootPgnos: readonly number[]): void {
    this.#oracle.expectScans(rootPgnos);
  }

  #isAtHand(pgno: number): boolean {
    if (this.#underWay.has(pgno) || pgno === this.#lockPgno) return true;
    return this.#opened.snapshot.pages.get(pgno) === null || this.#opened.peek(pgno) !== undefined;
  }

  #pin(pgno: number, page: CachedPage): void {
    this.#pinned.delete(pgno);
    this.#pinned.set(pgno, page);
    for (const oldest of this.#pinned.keys()) {
      if (this.#pinned.size <= PINNED_MAX) break;
      this.#pinned.delete(oldest);
    }
  }

  async #loadAll(wanted: readonly number[], signal: AbortSignal | undefined): Promise<void> {
    const before = this.#opened;
    try {
      await this.#fetch(wanted, signal);
    } catch (error) {
      if (!isReplicaError(error, "OBJECT_MISSING")) throw error;
      // Once for a reader: what was read from the new plan and has gone too is an error.
      if (before === this.#opened) {
        const hasReopened = this.#reopening !== undefined;
        this.#reopening ??= this.#reopen(signal);
        await this.#reopening;
        if (hasReopened && before === this.#opened) throw error;
      }
      await this.#fetch(wanted, signal);
    }
  }

  async #reopen(signal: AbortSignal | undefined): Promise<void> {
    const cache = this.#cache;
    const reopened = await this.#reopenSnapshot(this.#opened.snapshot, { signal, cache });
    this.#opened = new OpenedPages(reopened, cache);
  }

  /** Fetches pages of which the first was asked for and the others come along. */
  async #fetch(
    [asked, ...others]: readonly number[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const leftOut = new Set(others);
    const options = {
      store: this.#store,
      requestsMax: this.#requestsMax,
      onPage: (pgno: number, page: CachedPage) => {
        this.#stats.pages++;
        leftOut.delete(pgno);
        this.#oracle.onPage(pgno);
        if (pgno === asked) this.#pin(pgno, page);
      },
      onGap: (bytes: number) => this.#oracle.onGap(bytes),
      signal,
    };
    try {
      await fetchPages(this.#opened, { asked, others }, options);
    } finally {
      for (const pgno of leftOut) this.#oracle.onLeftOut(pgno);
    }
  }

  /** Counts what is read, whoever reads it: locators do too. */
  #metered(store: ObjectStore): ObjectStore {
    return withMethods(store, {
      get: async (key, options) => {
        this.#stats.requests++;
        const stored = await store.get(key, options);
        this.#stats.bytes += stored?.bytes.length ?? 0;
        return stored;
      },
    });
  }
}
