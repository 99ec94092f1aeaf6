import { assert } from "../assert.ts";
import type { FoundPage, PageLocation, PageLocator } from "./page-locator.ts";

const OFFSET_HIGH = 2 ** 32;

/** Files that a page map can tell apart. */
export const PLAN_FILES_MAX = 0x1_0000;

/**
 * For every page of a database at one TXID, where its newest version lies: 12 bytes a page in typed
 * arrays, and four more where checksums are known. A Map of objects would take a hundred, and a Worker
 * has 128 MB.
 */
export class PageMap implements PageLocator {
  /** Size of the database, in pages. */
  readonly commit: number;
  readonly #file: Uint16Array;
  readonly #offsetLow: Uint32Array;
  readonly #offsetHigh: Uint16Array;
  readonly #size: Uint32Array;
  readonly #checksums = new SparseChecksums();

  constructor(commit: number) {
    this.commit = commit;
    this.#file = new Uint16Array(commit);
    this.#offsetLow = new Uint32Array(commit);
    this.#offsetHigh = new Uint16Array(commit);
    this.#size = new Uint32Array(commit);
  }

  get sizeBytes(): number {
    return this.commit * 12 + this.#checksums.sizeBytes;
  }

  /**
   * Says where a newer version of a page lies. Files come in the order of the plan, so that what is
   * set last has the highest last TXID. Pages beyond the database's end are left out.
   */
  set(pgno: number, { file, offset, size, checksum }: PageLocation): void {
    assert(
      file < PLAN_FILES_MAX && offset < OFFSET_HIGH * 0x1_0000,
      "a plan beyond what a page map holds",
    );
    if (pgno > this.commit) return;
    this.#file[pgno - 1] = file;
    this.#offsetLow[pgno - 1] = offset;
    this.#offsetHigh[pgno - 1] = Math.floor(offset / OFFSET_HIGH);
    this.#size[pgno - 1] = size;
    this.#checksums.set(pgno, checksum);
  }

  /** Null when no file holds the page, as none holds the lock page. */
  get(pgno: number): PageLocation | null {
    const index = pgno - 1;
    const size = this.#size[index] ?? 0;
    if (size === 0) return null;
    const offset = this.#offsetHigh[index] * OFFSET_HIGH + this.#offsetLow[index];
    const checksum = this.#checksums.get(pgno);
    const file = this.#file[index];
    return checksum === undefined ? { file, offset, size } : { file, offset, size, checksum };
  }

  /** A map knows all: nothing is read. */
  find(pgno: number): Promise<FoundPage> {
    return Promise.resolve({ location: this.get(pgno) });
  }
}

/** Pages whose checksums are kept together. */
const CHUNK_PAGES = 1_024;
/** A checksum a page, and a bit each that says whether it is known. */
const CHUNK_WORDS = CHUNK_PAGES + CHUNK_PAGES / 32;

/** Checksums by page number, with memory only for parts of the database where some are known. */
class SparseChecksums {
  readonly #chunks: (Uint32Array | undefined)[] = [];
  #chunkCount = 0;

  get sizeBytes(): number {
    return this.#chunkCount * CHUNK_WORDS * 4;
  }

  get(pgno: number): number | undefined {
    const chunk = this.#chunks[Math.floor(pgno / CHUNK_PAGES)];
    if (!chunk) return undefined;
    const index = pgno % CHUNK_PAGES;
    const isKnown = chunk[CHUNK_PAGES + (index >>> 5)] & (1 << (index & 31));
    return isKnown ? chunk[index] : undefined;
  }

  set(pgno: number, checksum: number | undefined): void {
    const chunkIndex = Math.floor(pgno / CHUNK_PAGES);
    let chunk = this.#chunks[chunkIndex];
    if (!chunk) {
      if (checksum === undefined) return;
      chunk = new Uint32Array(CHUNK_WORDS);
      this.#chunks[chunkIndex] = chunk;
      this.#chunkCount++;
    }
    const index = pgno % CHUNK_PAGES;
    const bit = 1 << (index & 31);
    chunk[index] = checksum ?? 0;
    if (checksum === undefined) chunk[CHUNK_PAGES + (index >>> 5)] &= ~bit;
    else chunk[CHUNK_PAGES + (index >>> 5)] |= bit;
  }
}
