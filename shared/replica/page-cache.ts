import type { PageLocator } from "./page-locator.ts";

export interface PageCacheOptions {
  /** Bytes of pages that are kept at most. */
  readonly bytesMax: number;
}

/** A page in the cache. */
export interface CachedPage {
  readonly page: Uint8Array;
  /** It was held against its checksum, or came out of a file that was. */
  readonly isVerified: boolean;
}

/** What an entry costs beside its page's bytes: itself, the array over them, a slot in two maps. Measured. */
const ENTRY_BYTES = 450;
/** What the first page of a file costs more: the file's own map, and its identity. Measured. */
const FILE_BYTES = 300;

/** A page among the pages of its file, and among all by their use. */
class Entry {
  readonly cached: CachedPage;
  readonly file: string;
  readonly offset: number;
  /** The ones that were used right after and right before it. */
  newer: Entry = this;
  older: Entry = this;
  /** Where it was last found by its number, under which, and as what. */
  shortcuts: PageShortcuts | undefined = undefined;
  pgno = 0;
  found: CachedPage;

  constructor(file: string, offset: number, cached: CachedPage) {
    this.file = file;
    this.offset = offset;
    this.cached = cached;
    this.found = cached;
  }
}

/** The ring's own entry, between the newest and the oldest. */
function newRing(): Entry {
  return new Entry("", 0, { page: new Uint8Array(0), isVerified: false });
}

function takeOut(entry: Entry): void {
  entry.newer.older = entry.older;
  entry.older.newer = entry.newer;
}

function putNewest(ring: Entry, entry: Entry): void {
  const newest = ring.older;
  entry.older = newest;
  entry.newer = ring;
  newest.newer = entry;
  ring.older = entry;
}

function use(ring: Entry, entry: Entry): void {
  if (ring.older === entry) return;
  takeOut(entry);
  putNewest(ring, entry);
}

/**
 * Decoded pages by where they lie: object, ETag and offset. An unchanged page keeps its place under
 * a new TXID, so it stays. What has not been used for longest goes first. Values only: a promise
 * must not be shared between a Worker's requests.
 */
export class PageCache {
  /** Bytes that are kept at most. */
  readonly bytesMax: number;
  readonly #files = new Map<string, Map<number, Entry>>();
  readonly #ring = newRing();
  readonly #shortcuts = new WeakMap<PageLocator, PageShortcuts>();
  #bytes = 0;

  constructor({ bytesMax }: PageCacheOptions) {
    this.bytesMax = bytesMax;
  }

  /** Bytes that are kept now, the cost of the entries included. */
  get bytes(): number {
    return this.#bytes;
  }

  get(file: string, offset: number): CachedPage | undefined {
    const entry = this.#files.get(file)?.get(offset);
    if (entry) use(this.#ring, entry);
    return entry?.cached;
  }

  has(file: string, offset: number): boolean {
    return this.#files.get(file)?.has(offset) === true;
  }

  set(file: string, offset: number, page: Uint8Array, isVerified = false): CachedPage {
    this.delete(file, offset);
    const entry = new Entry(file, offset, { page, isVerified });
    const known = this.#files.get(file);
    const entries = known ?? new Map<number, Entry>();
    if (!known) {
      this.#files.set(file, entries);
      this.#bytes += FILE_BYTES;
    }
    entries.set(offset, entry);
    putNewest(this.#ring, entry);
    this.#bytes += page.length + ENTRY_BYTES;
    while (this.#bytes > this.bytesMax && this.#ring.newer !== entry)
      this.#remove(this.#ring.newer);
    return entry.cached;
  }

  /** Forgets a page, as one that has turned out to be damaged. */
  delete(file: string, offset: number): void {
    const entry = this.#files.get(file)?.get(offset);
    if (entry) this.#remove(entry);
  }

  /**
   * The short way to the pages that one locator knows by their numbers: it goes with the locator.
   *
   * @param pages For which a number always means the same page at the same place, once it knows it.
   * @param doubtfulFiles The snapshot's, of which it hangs what is verified: others have their own.
   */
  shortcutsOf(pages: PageLocator, doubtfulFiles: number): PageShortcuts {
    const known = this.#shortcuts.get(pages);
    if (known?.doubtfulFiles === doubtfulFiles) return known;
    const entryAt = (file: string, offset: number) => this.#files.get(file)?.get(offset);
    const shortcuts = new PageShortcuts(this.#ring, entryAt, doubtfulFiles);
    this.#shortcuts.set(pages, shortcuts);
    return shortcuts;
  }

  #remove(entry: Entry): void {
    const { file, offset, cached, shortcuts, pgno } = entry;
    const entries = this.#files.get(file);
    entries?.delete(offset);
    if (entries?.size === 0) {
      this.#files.delete(file);
      this.#bytes -= FILE_BYTES;
    }
    this.#bytes -= cached.page.length + ENTRY_BYTES;
    shortcuts?.forget(pgno);
    takeOut(entry);
  }
}

/**
 * The pages of one locator that are in a cache, by number: finding a page's place takes far longer than
 * finding the page there. A page is in the shortcuts of one locator at a time, of the one that was last to
 * look for it, so that all of them together are no more than the cache has pages; and it leaves them when
 * it leaves the cache.
 */
export class PageShortcuts {
  readonly #entries = new Map<number, Entry>();
  readonly #ring: Entry;
  readonly #entryAt: (file: string, offset: number) => Entry | undefined;

  /** See `Snapshot`. */
  readonly doubtfulFiles: number;

  constructor(
    ring: Entry,
    entryAt: (file: string, offset: number) => Entry | undefined,
    doubtfulFiles: number,
  ) {
    this.#ring = ring;
    this.#entryAt = entryAt;
    this.doubtfulFiles = doubtfulFiles;
  }

  /** Pages that are known here. */
  get count(): number {
    return this.#entries.size;
  }

  /** The page as it was found before, where it is still in the cache; that is a use. */
  get(pgno: number): CachedPage | undefined {
    const entry = this.#entries.get(pgno);
    if (entry === undefined) return undefined;
    use(this.#ring, entry);
    return entry.found;
  }

  /**
   * Remembers where a page was found, and as what; nothing where it is not in the cache.
   *
   * @param found The page that is there; it may be verified less than it is there.
   */
  remember(pgno: number, { file, offset }: CachePlace, found: CachedPage): void {
    const entry = this.#entryAt(file, offset);
    if (entry?.cached.page !== found.page) return;
    this.forget(pgno);
    entry.shortcuts?.forget(entry.pgno);
    entry.shortcuts = this;
    entry.pgno = pgno;
    entry.found = found;
    this.#entries.set(pgno, entry);
  }

  forget(pgno: number): void {
    const entry = this.#entries.get(pgno);
    if (entry === undefined) return;
    this.#entries.delete(pgno);
    entry.shortcuts = undefined;
  }
}

/** Where a page lies in the cache. */
export interface CachePlace {
  readonly file: string;
  readonly offset: number;
}
