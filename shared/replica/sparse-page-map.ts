import { assert } from "../assert.ts";
import type { FoundPage, PageLocation, PageLocator } from "./page-locator.ts";
import { PLAN_FILES_MAX } from "./page-map.ts";

/** A page number, a file, an offset, a size and a checksum. */
const PAGE_BYTES = 4 + 2 + 8 + 4 + 8;

/** Where the newest versions of some pages of a large database lie: 26 bytes each, whatever the database's size. */
export class SparsePageMap implements PageLocator {
  readonly #pgnos: Uint32Array;
  readonly #files: Uint16Array;
  readonly #offsets: Float64Array;
  readonly #sizes: Uint32Array;
  /** Not a number where it is not known. */
  readonly #checksums: Float64Array;

  constructor(pages: ReadonlyMap<number, PageLocation>) {
    this.#pgnos = Uint32Array.from(pages.keys()).sort();
    const count = this.#pgnos.length;
    this.#files = new Uint16Array(count);
    this.#offsets = new Float64Array(count);
    this.#sizes = new Uint32Array(count);
    this.#checksums = new Float64Array(count);
    for (const [index, pgno] of this.#pgnos.entries()) {
      const place = pages.get(pgno);
      assert(place && place.file < PLAN_FILES_MAX, "a plan beyond what a page map holds");
      this.#files[index] = place.file;
      this.#offsets[index] = place.offset;
      this.#sizes[index] = place.size;
      this.#checksums[index] = place.checksum ?? Number.NaN;
    }
  }

  get sizeBytes(): number {
    return this.#pgnos.length * PAGE_BYTES;
  }

  get(pgno: number): PageLocation | null {
    let low = 0;
    let high = this.#pgnos.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#pgnos[middle] < pgno) low = middle + 1;
      else high = middle;
    }
    if (this.#pgnos[low] !== pgno) return null;
    const checksum = this.#checksums[low];
    const place = { file: this.#files[low], offset: this.#offsets[low], size: this.#sizes[low] };
    return Number.isNaN(checksum) ? place : { ...place, checksum };
  }

  /** A map knows all: nothing is read. */
  find(pgno: number): Promise<FoundPage> {
    return Promise.resolve({ location: this.get(pgno) });
  }
}
