export interface PageCacheOptions {
  /** Bytes of pages that are kept at most. */
  readonly bytesMax: number;
}

/** What an entry costs beside its page: its key, the map's own slot. Measured, roughly, in bytes. */
const ENTRY_BYTES = 200;

/**
 * Decoded pages by where they lie: object, ETag and offset. An unchanged page keeps its place under
 * a new TXID, so it stays. What has not been used for longest goes first. Values only: a promise
 * must not be shared between a Worker's requests.
 */
export class PageCache {
  readonly #bytesMax: number;
  readonly #pages = new Map<string, Uint8Array>();
  #bytes = 0;

  constructor({ bytesMax }: PageCacheOptions) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes that are kept now, the cost of the entries included. */
  get bytes(): number {
    return this.#bytes;
  }

  get(file: string, offset: number): Uint8Array | undefined {
    const key = `${offset} ${file}`;
    const page = this.#pages.get(key);
    if (page) {
      // The map keeps the order of insertion: put last, it goes last.
      this.#pages.delete(key);
      this.#pages.set(key, page);
    }
    return page;
  }

  has(file: string, offset: number): boolean {
    return this.#pages.has(`${offset} ${file}`);
  }

  set(file: string, offset: number, page: Uint8Array): void {
    const key = `${offset} ${file}`;
    const previous = this.#pages.get(key);
    if (previous) this.#remove(key, previous);
    this.#pages.set(key, page);
    this.#bytes += page.length + ENTRY_BYTES;
    for (const [oldest, oldPage] of this.#pages) {
      if (this.#bytes <= this.#bytesMax || oldest === key) break;
      this.#remove(oldest, oldPage);
    }
  }

  #remove(key: string, page: Uint8Array): void {
    this.#pages.delete(key);
    this.#bytes -= page.length + ENTRY_BYTES;
  }
}
