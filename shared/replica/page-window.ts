import { isReplicaError, throwIfAborted } from "../errors.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { inParallel } from "./in-parallel.ts";
import type { OpenedPages } from "./opened-pages.ts";
import type { CachedPage } from "./page-cache.ts";
import type { PageFrame, PageRange } from "./page-ranges.ts";
import { allOf, planPages, type WantedPages } from "./plan-pages.ts";
import { decodePage, readRange } from "./read-pages.ts";
import type { Snapshot } from "./snapshot.ts";

/** So many pages that nobody waits for are decoded at once: they hold nobody back for long. */
const AT_ONCE_MAX = 16;

export interface PageWindowOptions {
  readonly stores: {
    /** For what somebody waits for. */
    readonly soon: ObjectStore;
    /** For what comes along. */
    readonly later: ObjectStore;
  };
  /** Reads in flight at a time. */
  readonly requestsMax: number;
  /** Told of each page, which is in the cache then, and whether anybody waits for it. */
  readonly onPage: (pgno: number, page: CachedPage, isWaitedFor: boolean) => void;
  /** Told of each page that was not fetched after all. */
  readonly onLeftOut: (pgno: number) => void;
  /** Told how many bytes were read between frames. */
  readonly onGap: (bytes: number) => void;
  /** Told when nothing of it is under way any more. */
  readonly onEnd: () => void;
  readonly signal?: AbortSignal | undefined;
}

/** A range that has arrived, and whose pages that nobody waits for yet are decoded a little later. */
interface Held {
  readonly frames: readonly PageFrame[];
  release(): void;
}

/**
 * Pages on their way into the cache: it finds out where they lie, and reads them with as few ranged reads as the places
 * allow. Whoever waits for one of them waits for the read that brings it and no longer.
 *
 * It goes by itself from the moment on that it is made, and belongs to one request of a Worker. Nothing that goes
 * wrong with a page that only comes along is told: it is left out.
 */
export class PageWindow {
  readonly #opened: OpenedPages;
  readonly #wanted: WantedPages;
  readonly #options: PageWindowOptions;
  readonly #stop = new AbortController();
  /** Ends the reads that do not bring the page that was asked for. */
  readonly #stopOthers = new AbortController();
  readonly #asked = Promise.withResolvers<void>();
  /** Pages that have not come, and are not left out. */
  readonly #left: Set<number>;
  readonly #waiting = new Map<number, PromiseWithResolvers<void>>();
  readonly #held = new Set<Held>();
  #isWaitedFor: boolean;

  constructor(opened: OpenedPages, wanted: WantedPages, options: PageWindowOptions) {
    this.#opened = opened;
    this.#wanted = wanted;
    this.#options = options;
    this.#left = new Set(allOf(wanted));
    this.#isWaitedFor = wanted.asked !== undefined;
    // Whoever asked may have gone before it fails.
    this.#asked.promise.catch(() => undefined);
    void this.#run();
  }

  /** Somebody has waited for a page of it. */
  get isWaitedFor(): boolean {
    return this.#isWaitedFor;
  }

  /**
   * Resolves as soon as the page that was asked for is in the cache.
   *
   * @throws {ReplicaError} `CORRUPT_PAGE` when no file holds that page, its frame is damaged or it does not match its
   *   checksum; `OBJECT_MISSING`, `ABORTED`, `R2_ERROR`.
   */
  asked(): Promise<void> {
    return this.#asked.promise;
  }

  /** Resolves when a page has come or was left out, and never rejects. */
  async wait(pgno: number): Promise<void> {
    if (!this.#left.has(pgno)) return;
    this.#isWaitedFor = true;
    const waiting = this.#waiting.get(pgno) ?? Promise.withResolvers<void>();
    this.#waiting.set(pgno, waiting);
    for (const held of this.#held) {
      if (held.frames.some((frame) => frame.pgno === pgno)) held.release();
    }
    await waiting.promise;
  }

  /** Ends what is under way: the pages that have not come are left out. */
  stop(reason?: unknown): void {
    this.#stop.abort(reason);
    this.#stopOthers.abort(reason);
    for (const held of this.#held) held.release();
  }

  async #run(): Promise<void> {
    const { signal, onEnd } = this.#options;
    const stop = () => this.stop(signal?.reason);
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop, { once: true });
    try {
      const ranges = await this.#plan();
      // As many at a time as the store allows: those of the next window come after all of these.
      await inParallel(ranges, ranges.length, (range) => this.#read(range));
    } catch (error) {
      this.#asked.reject(error);
    } finally {
      signal?.removeEventListener("abort", stop);
      for (const pgno of this.#left) this.#leaveOut(pgno);
      onEnd();
    }
  }

  #plan(): Promise<PageRange[]> {
    const { requestsMax, stores } = this.#options;
    const isAsked = this.#wanted.asked !== undefined;
    const { replica } = this.#snapshot(isAsked ? stores.soon : stores.later);
    return planPages(this.#opened, this.#wanted, {
      replica,
      requestsMax,
      onPage: (pgno, page) => this.#come(pgno, page),
      signal: this.#stop.signal,
    });
  }

  #snapshot(store: ObjectStore): Snapshot {
    const { snapshot } = this.#opened;
    return { ...snapshot, replica: { ...snapshot.replica, store } };
  }

  async #read(range: PageRange): Promise<void> {
    const { stores, onGap } = this.#options;
    const { asked } = this.#wanted;
    const hasAsked = range.frames.some(({ pgno }) => pgno === asked);
    const [store, { signal }] = hasAsked
      ? [stores.soon, this.#stop]
      : [stores.later, this.#stopOthers];
    try {
      const bytes = await readRange(this.#snapshot(store), range, signal);
      onGap(range.frames.reduce((gap, { size }) => gap - size, range.length));
      await this.#decode(range, bytes);
    } catch (error) {
      if (hasAsked) this.#asked.reject(error);
      // The others would mostly fail like this one; whoever needs them asks for them.
      this.#stopOthers.abort(error);
      for (const { pgno } of range.frames) if (this.#left.has(pgno)) this.#leaveOut(pgno);
    }
  }

  /** Decodes what somebody waits for, and the rest when others have had their turn, or somebody waits for that too. */
  async #decode(range: PageRange, bytes: Uint8Array): Promise<void> {
    const { asked } = this.#wanted;
    const isNeeded = ({ pgno }: PageFrame) => pgno === asked || this.#waiting.has(pgno);
    const decode = (frame: PageFrame) => this.#decodePage(range, bytes, frame);
    const later = range.frames.filter((frame) => !isNeeded(frame));
    range.frames.filter(isNeeded).forEach(decode);
    if (later.length > AT_ONCE_MAX) await this.#turn(later);
    throwIfAborted(this.#stop.signal);
    later.forEach(decode);
  }

  /** Resolves at another turn of the event loop, or as soon as somebody waits for one of the pages. */
  async #turn(frames: readonly PageFrame[]): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const held: Held = { frames, release: resolve };
    const timer = setTimeout(resolve, 0);
    this.#held.add(held);
    await promise;
    clearTimeout(timer);
    this.#held.delete(held);
  }

  #decodePage(range: PageRange, bytes: Uint8Array, frame: PageFrame): void {
    const { pgno, offset } = frame;
    try {
      const { page, isVerified } = decodePage(this.#opened.snapshot, range, { bytes, frame });
      this.#come(pgno, this.#opened.keep({ file: range.file, offset }, page, isVerified));
    } catch (error) {
      if (pgno === this.#wanted.asked || !isReplicaError(error, "CORRUPT_PAGE")) throw error;
      this.#leaveOut(pgno);
    }
  }

  #come(pgno: number, page: CachedPage): void {
    this.#left.delete(pgno);
    const isAsked = pgno === this.#wanted.asked;
    this.#options.onPage(pgno, page, isAsked || this.#waiting.has(pgno));
    if (isAsked) this.#asked.resolve();
    this.#waiting.get(pgno)?.resolve();
  }

  #leaveOut(pgno: number): void {
    this.#left.delete(pgno);
    this.#options.onLeftOut(pgno);
    this.#waiting.get(pgno)?.resolve();
  }
}
