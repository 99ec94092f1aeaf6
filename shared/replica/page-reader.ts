import { ReplicaError, isReplicaError } from "../errors.ts";
import { STORE_REQUESTS_MAX } from "../limits.ts";
import { pageChecksum32 } from "../ltx/checksum.ts";
import { lockPgno } from "../sqlite/database-header.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { inParallel } from "./in-parallel.ts";
import { limitRequests } from "./limit-requests.ts";
import { fileIdentity } from "./ltx-file.ts";
import type { CachedPage, PageCache } from "./page-cache.ts";
import type { PageLocation } from "./page-locator.ts";
import { planPageRanges } from "./page-ranges.ts";
import { ReadAhead } from "./readahead.ts";
import { readPages } from "./read-pages.ts";
import { reopenSnapshot, type OpenPlanOptions, type Snapshot } from "./snapshot.ts";
import { verifyPage } from "./verify-page.ts";

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

/** A snapshot, and by what its files are known to the cache. Kept together: what a load began with, it ends with. */
interface Opened {
  readonly snapshot: Snapshot;
  readonly identities: readonly string[];
}

function identified(snapshot: Snapshot): Opened {
  return { snapshot, identities: snapshot.files.map(fileIdentity) };
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
  #opened: Opened;
  /** Planning again, begun by the first load that found an object gone. */
  #reopening: Promise<void> | undefined;
  readonly #cache: PageCache;
  readonly #reopenSnapshot: NonNullable<PageReaderOptions["reopen"]>;
  readonly #store: ObjectStore;
  readonly #requestsMax: number;
  readonly #readAhead: ReadAhead;
  readonly #lockPgno: number;
  /** Pages that a load is fetching. */
  readonly #underWay = new Map<number, Promise<void>>();
  readonly #pinned = new Map<number, CachedPage>();
  readonly #stats = { faults: 0, pages: 0, requests: 0, bytes: 0, verified: true };

  constructor(
    snapshot: Snapshot,
    { cache, requestsMax = STORE_REQUESTS_MAX, reopen = reopenSnapshot }: PageReaderOptions,
  ) {
    this.#opened = identified(snapshot);
    this.#cache = cache;
    this.#reopenSnapshot = reopen;
    this.#store = limitRequests(this.#metered(snapshot.replica.store), requestsMax);
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
    return this.#opened.snapshot;
  }

  get stats(): PageReaderStats {
    return { ...this.#stats };
  }

  /** The page as it is stored, when it is at hand. The lock page is zeros. */
  resident(pgno: number): Uint8Array | undefined {
    if (pgno === this.#lockPgno) return new Uint8Array(this.pageSize);
    const cached = this.#cached(pgno) ?? this.#pinned.get(pgno);
    if (!cached) return undefined;
    if (!cached.isVerified) this.#stats.verified = false;
    this.#readAhead.onUse(pgno);
    return cached.page;
  }

  /**
   * Fetches a page, and what a scan that it seems to belong to will ask for next. The page is then
   * at hand until some others have been loaded.
   *
   * @throws {ReplicaError} `CORRUPT_PAGE` when no file holds the page, its frame is damaged or it does
   *   not match its checksum, `VERSION_EXPIRED` when the TXID cannot be restored any more, `ABORTED`, `R2_ERROR`.
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
    const cached = this.#cached(pgno);
    if (cached) return this.#pin(pgno, cached);
    const wanted = this.#readAhead.onFault(pgno);
    const loading = this.#loadAll(wanted, signal);
    for (const wantedPgno of wanted) this.#underWay.set(wantedPgno, loading);
    try {
      await loading;
    } finally {
      for (const wantedPgno of wanted) this.#underWay.delete(wantedPgno);
    }
  }

  #cached(pgno: number): CachedPage | undefined {
    const place = this.#opened.snapshot.pages.get(pgno);
    return place ? this.#cachedAt(this.#opened, pgno, place) : undefined;
  }

  /** The page at a place; a cached one that nobody has verified is, as soon as its checksum is known. */
  #cachedAt({ identities }: Opened, pgno: number, place: PageLocation): CachedPage | undefined {
    const identity = identities[place.file];
    const cached = this.#cache.get(identity, place.offset);
    if (!cached || cached.isVerified || place.checksum === undefined) return cached;
    if (pageChecksum32(pgno, cached.page) !== place.checksum) {
      // To be fetched again: if the object is what is damaged, that says so.
      this.#cache.delete(identity, place.offset);
      return undefined;
    }
    this.#cache.set(identity, place.offset, cached.page, true);
    return { page: cached.page, isVerified: true };
  }

  #isAtHand(pgno: number): boolean {
    const { snapshot, identities } = this.#opened;
    const place = snapshot.pages.get(pgno);
    if (!place || this.#underWay.has(pgno)) return true;
    return this.#cache.has(identities[place.file], place.offset);
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
    this.#opened = identified(reopened);
  }

  /** Fetches pages of which the first was asked for and the others come along. */
  async #fetch(pgnos: readonly number[], signal: AbortSignal | undefined): Promise<void> {
    const [asked, ...others] = pgnos;
    const { identities } = this.#opened;
    const { replica } = this.#opened.snapshot;
    const snapshot = { ...this.#opened.snapshot, replica: { ...replica, store: this.#store } };
    const place = await this.#locate({ snapshot, identities }, asked, signal);
    const isThere = place === undefined;
    const pages = {
      get: (pgno: number) => (pgno === asked ? place : snapshot.pages.get(pgno)),
    };
    const isAsked = (pgno: number) => pgno === asked;
    const { pageSize } = this;
    const options = { lengthMax: RANGE_BYTES_MAX, gapMax: GAP_BYTES_MAX, pageSize };
    const ranges = planPageRanges(pages, isThere ? others : pgnos, options);
    await inParallel(ranges, this.#requestsMax, async (range) => {
      const read = await readPages(snapshot, range, { isAsked, signal });
      this.#stats.pages += read.pages.length;
      for (const { pgno, offset, page, isVerified } of read.pages) {
        this.#cache.set(identities[range.file], offset, page, isVerified);
        if (pgno === asked) this.#pin(pgno, { page, isVerified });
      }
    });
  }

  /** Where the page that was asked for lies; undefined when it is at hand now. */
  async #locate(
    opened: Opened,
    pgno: number,
    signal: AbortSignal | undefined,
  ): Promise<PageLocation | undefined> {
    const { pages, replica, commit } = opened.snapshot;
    const known = pages.get(pgno);
    const { location, page } =
      known === undefined ? await pages.find(pgno, { replica, signal }) : { location: known };
    if (!location) {
      const sentence = `page ${pgno} of ${commit} is in none of the LTX files of its plan`;
      throw new ReplicaError("CORRUPT_PAGE", sentence);
    }
    if (known !== undefined) return location;
    // What was fetched under another TXID may be at hand: only its place was not known.
    const cached =
      this.#cachedAt(opened, pgno, location) ?? this.#take(opened, { pgno, ...location }, page);
    if (cached) this.#pin(pgno, cached);
    return cached ? undefined : location;
  }

  /** A page that came along with its location. */
  #take(
    { snapshot, identities }: Opened,
    place: PageLocation & { readonly pgno: number },
    page: Uint8Array | undefined,
  ): CachedPage | undefined {
    if (!page) return undefined;
    const isVerified = verifyPage(snapshot, place, page);
    this.#cache.set(identities[place.file], place.offset, page, isVerified);
    this.#stats.pages++;
    return { page, isVerified };
  }

  /** Counts what is read, whoever reads it: locators do too. */
  #metered(store: ObjectStore): ObjectStore {
    return {
      list: (options) => store.list(options),
      get: async (key, options) => {
        this.#stats.requests++;
        const stored = await store.get(key, options);
        this.#stats.bytes += stored?.bytes.length ?? 0;
        return stored;
      },
      put: (key, body, options) => store.put(key, body, options),
      delete: (keys, options) => store.delete(keys, options),
    };
  }
}
