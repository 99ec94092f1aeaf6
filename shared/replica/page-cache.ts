export interface PageCacheOptions {
  /** Bytes of pages that are kept at most. */
  readonly bytesMax: number;
}

/** What an entry costs beside its page: its key, the map's own slot. Measured, roughly, in bytes. */
const ENTRY_BYTES = 200;

/** A page in the cache. */
export interface CachedPage {
  readonly page: Uint8Array;
  /** It was held against its checksum, or came out of a file that was. */
  readonly isVerified: boolean;
}

/**
 * Decoded pages by where they lie: object, ETag and offset. An unchanged page keeps its place under
 * a new TXID, so it stays. What has not been used for longest goes first. Values only: a promise
 * must not be shared between a Worker's requests.
 */
export class PageCache {
  /** Bytes that are kept at most. */
  readonly bytesMax: number;
  readonly #pages = new Map<string, CachedPage>();
  #bytes = 0;

  constructor({ bytesMax }: PageCacheOptions) {
    this.bytesMax = bytesMax;
  }

  /** Bytes that are kept now, the cost of the entries included. */
  get bytes(): number {
    return this.#bytes;
  }

  get(file: string, offset: number): CachedPage | undefined {
    const key = `${offset} ${file}`;
    const cached = this.#pages.get(key);
    if (cached) {
      // The map keeps the order of insertion: put last, it goes last.
      this.#pages.delete(key);
      this.#pages.set(key, cached);
    }
    return cached;
  }

  has(file: string, offset: number): boolean {
    return this.#pages.has(`${offset} ${file}`);
  }

  set(file: string, offset: number, page: Uint8Array, isVerified = false): void {
    const key = `${offset} ${file}`;
    this.#remove(key);
    this.#pages.set(key, { page, isVerified });
    this.#bytes += page.length + ENTRY_BYTES;
    for (const oldest of this.#pages.keys()) {
      if (this.#bytes <= this.bytesMax || oldest === key) break;
      this.#remove(oldest);
    }
  }

  /** Forgets a page, as one that has turned out to be damaged. */
  delete(file: string, offset: number): void {
    this.#remove(`${offset} ${file}`);
  }

  #remove(key: string): void {
    const cached = this.#pages.get(key);
    if (!cached) return;
    this.#pages.delete(key);
    this.#bytes -= cached.page.length + ENTRY_BYTES;
  }
}
