import type { VerifiableLocation } from "./location-coding.ts";

const ENTRY_BYTES = 24;

/** Locations of a few pages, sorted by page number: 24 bytes a page, in typed arrays. */
export class LocationTable {
  readonly #pgno: Uint32Array;
  readonly #file: Uint32Array;
  readonly #offset: Float64Array;
  readonly #size: Uint32Array;
  readonly #checksum: Uint32Array;
  #length = 0;

  constructor(capacity: number) {
    this.#pgno = new Uint32Array(capacity);
    this.#file = new Uint32Array(capacity);
    this.#offset = new Float64Array(capacity);
    this.#size = new Uint32Array(capacity);
    this.#checksum = new Uint32Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  get sizeBytes(): number {
    return this.#pgno.length * ENTRY_BYTES;
  }

  /** Appends a page; page numbers ascend. */
  append(pgno: number, { file, offset, size, checksum }: VerifiableLocation): void {
    const index = this.#length++;
    this.#pgno[index] = pgno;
    this.#file[index] = file;
    this.#offset[index] = offset;
    this.#size[index] = size;
    this.#checksum[index] = checksum;
  }

  pgnoAt(index: number): number {
    return this.#pgno[index];
  }

  at(index: number): VerifiableLocation {
    return {
      file: this.#file[index],
      offset: this.#offset[index],
      size: this.#size[index],
      checksum: this.#checksum[index],
    };
  }

  has(pgno: number): boolean {
    return this.#indexOf(pgno) !== undefined;
  }

  get(pgno: number): VerifiableLocation | undefined {
    const index = this.#indexOf(pgno);
    return index === undefined ? undefined : this.at(index);
  }

  #indexOf(pgno: number): number | undefined {
    let low = 0;
    let high = this.#length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#pgno[middle] < pgno) low = middle + 1;
      else high = middle;
    }
    return low < this.#length && this.#pgno[low] === pgno ? low : undefined;
  }
}
