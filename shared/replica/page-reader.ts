import { ReplicaError, isReplicaError } from "../errors.ts";
import { STORE_REQUESTS_MAX } from "../limits.ts";
import { lockPgno } from "../sqlite/database-header.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { inTurns } from "./limit-requests.ts";
import { OpenedPages } from "./opened-pages.ts";
import type { CachedPage, PageCache } from "./page-cache.ts";
import { PageWindow, type PageWindowOptions } from "./page-window.ts";
import { allOf, type WantedPages } from "./plan-pages.ts";
import { PrefetchOracle } from "./prefetch/oracle.ts";
import { reopenSnapshot, type OpenPlanOptions, type Snapshot } from "./snapshot.ts";
import { withMethods } from "../storage/with-methods.ts";

/** Largest window of a scan: six reads of a mebibyte, in bytes of frames. */
const WINDOW_BYTES_MAX = 6 * 1024 * 1024;
/**
 * A window takes no larger share of the cache, or others would lose their pages for it, and it its own: there are three
 * of a scan at times, of which the first is being used and the others come.
 */
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
  /** Times that a page was asked for and had to be waited for; what is fetched ahead is none of them. */
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
 * A load waits for its own page alone: what comes along, and the windows of a scan that begin before they are asked for,
 * come in the background. Whoever has a reader closes it, which ends what is under way.
 *
 * Loads may run side by side: they share the reads, and never more than `requestsMax` are in flight.
 * A reader belongs to one request of a Worker, since no promise may be shared between two.
 */
export class PageReader implements Disposable {
  readonly pageSize: number;
  /** Size of the database, in pages. */
  readonly pageCount: number;
  #opened: OpenedPages;
  /** Planning again, begun by the first load that found an object gone. */
  #reopening: Promise<void> | undefined;
  readonly #cache: PageCache;
  readonly #reopenSnapshot: NonNullable<PageReaderOptions["reopen"]>;
  readonly #stores: PageWindowOptions["stores"];
  readonly #requestsMax: number;
  readonly #oracle: PrefetchOracle;
  readonly #lockPgno: number;
  /** Pages that are being fetched, each with its window. */
  readonly #underWay = new Map<number, PageWindow>();
  readonly #windows = new Set<PageWindow>();
  #isClosed = false;
  readonly #pinned = new Map<number, CachedPage>();
  readonly #stats = { faults: 0, pages: 0, requests: 0, bytes: 0, verified: true };

  constructor(
    snapshot: Snapshot,
    { cache, requestsMax = STORE_REQUESTS_MAX, reopen = reopenSnapshot }: PageReaderOptions,
  ) {
    this.#opened = new OpenedPages(snapshot, cache);
    this.#cache = cache;
    this.#reopenSnapshot = reopen;
    this.#stores = inTurns(this.#metered(snapshot.replica.store), requestsMax);
    this.#requestsMax = requestsMax;
    this.pageSize = snapshot.pageSize;
    this.pageCount = snapshot.commit;
    this.#lockPgno = lockPgno(snapshot.pageSize);
    const shareBytes = Math.floor(cache.bytesMax * WINDOW_CACHE_SHARE);
    this.#oracle = new PrefetchOracle({
      pageSize: snapshot.pageSize,
      pageCount: snapshot.commit,
      peek: (pgno) => this.#pinned.get(pgno)?.page ?? this.#opened.peek(pgno),
      isAtHand: (pgno) => this.#isAtHand(pgno),
      isUnopened: (pgno) => this.#opened.snapshot.pages.get(pgno) === undefined,
      frameBytes: (pgno) => this.#opened.snapshot.pages.get(pgno)?.size,
      windowBytesMax: Math.min(WINDOW_BYTES_MAX, shareBytes),
      windowPagesMax: Math.floor(shareBytes / snapshot.pageSize),
    });
  }

  /** What it reads from: another than it was given when it had to plan again. */
  get snapshot(): Snapshot {
    return this.#opened.snapshot;
  }

  /** As in `stats`, which is made anew each time. */
  get isVerified(): boolean {
    return this.#stats.verified;
  }

  get stats(): PageReaderStats {
    return { ...this.#stats };
  }

  /**
   * The page as it is stored, when it is at hand. The lock page is zeros.
   *
   * Undefined, once, also where the page is at hand and a scan has come to where its next window should begin: `load`
   * begins it, and lets its requests leave. Whoever computes without a pause would otherwise hold them back until it
   * has to wait for them. Whoever has just loaded the page gets it.
   */
  resident(pgno: number): Uint8Array | undefined {
    if (pgno === this.#lockPgno) return new Uint8Array(this.pageSize);
    const cached = this.#atHand(pgno);
    if (!cached) return undefined;
    if (!cached.isVerified) this.#stats.verified = false;
    const isDue = this.#oracle.onUse(pgno, cached.page);
    return isDue && !this.#isClosed && !this.#pinned.has(pgno) ? undefined : cached.page;
  }

  /** Whether a page is at hand or comes along with one that was waited for: to wait for it is no fetch of its own. */
  comesAlong(pgno: number): boolean {
    return this.#underWay.get(pgno)?.isWaitedFor ?? this.#atHand(pgno) !== undefined;
  }

  /**
   * Fetches a page, and begins to fetch what a scan that it seems to belong to will ask for next. The page is then
   * at hand until some others have been loaded.
   *
   * @throws {ReplicaError} `CORRUPT_PAGE` when no file holds the page, its frame is damaged or it does
   *   not match its checksum, `VERSION_EXPIRED` when the TXID cannot be restored any more, `ABORTED`,
   *   `R2_ERROR`.
   */
  async load(pgno: number, signal?: AbortSignal): Promise<void> {
    this.#throwIfClosed();
    this.#oracle.onWait(pgno);
    const there = this.#atHand(pgno);
    if (there) {
      if (this.#goOn(signal)) await anotherTurn();
      return this.#pin(pgno, there);
    }
    this.#stats.faults++;
    if (this.#underWay.has(pgno)) this.#goOn(signal);
    // Bounded by the loads that run: each pass waits for a window that is under way to bring the page, or not.
    for (
      let window = this.#underWay.get(pgno);
      window !== undefined;
      window = this.#underWay.get(pgno)
    ) {
      await window.wait(pgno);
    }
    const cached = this.#atHand(pgno);
    if (cached) return this.#pin(pgno, cached);
    const [asked, ...others] = this.#oracle.onFault(pgno);
    const loading = this.#loadAsked({ asked, others }, signal);
    this.#goOn(signal);
    await loading;
  }

  /** Ends what is under way: nothing is read from now on. What the reader has, and what it has cost, it still says. */
  close(): void {
    this.#isClosed = true;
    for (const window of this.#windows) window.stop();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Notes which trees, by the pages that they begin with, the statement that runs next reads as a whole, if it reads
   * anything of them: their pages are then fetched ahead from the first on. Where that is wrong, bytes are fetched
   * for nothing, and no more.
   */
  expectScans(rootPgnos: readonly number[]): void {
    this.#oracle.expectScans(rootPgnos);
  }

  #throwIfClosed(): void {
    if (this.#isClosed) throw new ReplicaError("ABORTED", "the reader of the pages was closed");
  }
  #atHand(pgno: number): CachedPage | undefined {
    return this.#opened.get(pgno) ?? this.#pinned.get(pgno);
  }

  #isAtHand(pgno: number): boolean {
    if (this.#underWay.has(pgno) || pgno === this.#lockPgno) return true;
    return this.#opened.peek(pgno) !== undefined || this.#opened.snapshot.pages.get(pgno) === null;
  }

  #pin(pgno: number, page: CachedPage): void {
    this.#pinned.delete(pgno);
    this.#pinned.set(pgno, page);
    for (const oldest of this.#pinned.keys()) {
      if (this.#pinned.size <= PINNED_MAX) break;
      this.#pinned.delete(oldest);
    }
  }

  async #loadAsked(
    wanted: WantedPages & { readonly asked: number },
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const before = this.#opened;
    try {
      await this.#begin(wanted, signal).asked();
    } catch (error) {
      if (!isReplicaError(error, "OBJECT_MISSING")) throw error;
      // Once for a reader: what was read from the new plan and has gone too is an error.
      if (before === this.#opened) {
        const hasReopened = this.#reopening !== undefined;
        this.#reopening ??= this.#reopen(signal);
        await this.#reopening;
        if (hasReopened && before === this.#opened) throw error;
      }
      // Alone: what was to come along is off the account.
      await this.#begin({ asked: wanted.asked, others: [] }, signal).asked();
    }
  }

  async #reopen(signal: AbortSignal | undefined): Promise<void> {
    const cache = this.#cache;
    const reopened = await this.#reopenSnapshot(this.#opened.snapshot, { signal, cache });
    this.#opened = new OpenedPages(reopened, cache);
  }

  /** Begins the windows that scans will use next; says whether there were any. */
  #goOn(signal: AbortSignal | undefined): boolean {
    if (this.#isClosed) return false;
    let has = false;
    // Bounded by the scans that are followed: each has one window at most that is due.
    for (let others = this.#oracle.goOn(); others.length > 0; others = this.#oracle.goOn()) {
      this.#begin({ asked: undefined, others }, signal);
      has = true;
    }
    return has;
  }

  #begin(wanted: WantedPages, signal: AbortSignal | undefined): PageWindow {
    this.#throwIfClosed();
    const window: PageWindow = new PageWindow(this.#opened, wanted, {
      stores: this.#stores,
      requestsMax: this.#requestsMax,
      onPage: (pgno, page, isWaitedFor) => {
        this.#stats.pages++;
        this.#endWay(pgno, window);
        this.#oracle.onPage(pgno);
        if (isWaitedFor) this.#pin(pgno, page);
      },
      onLeftOut: (pgno) => {
        this.#endWay(pgno, window);
        this.#oracle.onLeftOut(pgno);
      },
      onGap: (bytes) => this.#oracle.onGap(bytes),
      onEnd: () => this.#windows.delete(window),
      signal,
    });
    this.#windows.add(window);
    for (const pgno of allOf(wanted)) this.#underWay.set(pgno, window);
    return window;
  }

  #endWay(pgno: number, window: PageWindow): void {
    if (this.#underWay.get(pgno) === window) this.#underWay.delete(pgno);
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

/** Lets what has been begun leave, and what has come arrive. */
function anotherTurn(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 0);
  });
}
