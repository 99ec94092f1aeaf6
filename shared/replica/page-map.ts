import { assert } from "../assert.ts";
import { OFFSET_HIGH, type IndexColumns } from "../ltx/kernel.ts";
import { readPageIndexColumns } from "../ltx/page-index.ts";
import type { FoundPage, PageLocation, PageLocator } from "./page-locator.ts";

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
   * Says where the pages of a file lie. Files come in the order of the plan, so that what is set last has the
   * highest last TXID. Pages beyond the database's end are left out.
   *
   * @param file Index of the file in the snapshot's files.
   * @param index Its page index.
   * @param checksums Of its pages, in their order, where they are known.
   * @throws {ReplicaError} `CORRUPT_PAGE` when the index is damaged.
   */
  setAll(file: number, index: Uint8Array, checksums: Uint32Array | undefined): void {
    assert(file < PLAN_FILES_MAX, "a plan beyond what a page map holds");
    const hasChecksums = checksums !== undefined || this.#checksums.sizeBytes > 0;
    let entry = 0;
    readPageIndexColumns(index, (columns) => {
      const { pgnos } = columns;
      const count = this.#countWithin(pgnos);
      const isRun = count > 0 && pgnos[count - 1] - pgnos[0] === count - 1;
      if (isRun) this.#setRun(file, count, columns);
      else for (let at = 0; at < count; at++) this.#setAt(file, at, columns);
      if (hasChecksums) {
        for (let at = 0; at < count; at++) {
          this.#checksums.set(pgnos[at], checksums?.[entry + at]);
        }
      }
      entry += pgnos.length;
    });
  }

  /** Of ascending pages, how many the database has. */
  #countWithin(pgnos: Uint32Array): number {
    let count = pgnos.length;
    while (count > 0 && pgnos[count - 1] > this.commit) count--;
    return count;
  }

  /** Sets pages that follow one another. */
  #setRun(
    file: number,
    count: number,
    { pgnos, offsetsLow, offsetsHigh, sizes }: IndexColumns,
  ): void {
    const first = pgnos[0] - 1;
    this.#file.fill(file, first, first + count);
    this.#offsetLow.set(offsetsLow.subarray(0, count), first);
    this.#offsetHigh.set(offsetsHigh.subarray(0, count), first);
    this.#size.set(sizes.subarray(0, count), first);
  }

  #setAt(file: number, at: number, { pgnos, offsetsLow, offsetsHigh, sizes }: IndexColumns): void {
    const index = pgnos[at] - 1;
    this.#file[index] = file;
    this.#offsetLow[index] = offsetsLow[at];
    this.#offsetHigh[index] = offsetsHigh[at];
    this.#size[index] = sizes[at];
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
