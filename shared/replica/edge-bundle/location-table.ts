import type { VerifiableLocation } from "./location-coding.ts";

const ENTRY_BYTES = 24;

/**
 * Locations of a few pages, 24 bytes a page, in typed arrays. A size of 0 stands for a page that lies
 * nowhere. To look a page up by its number, they must have been appended in ascending order.
 */
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

  /** Appends a page. */
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

  /** The location in a row; of a page that lies nowhere, undefined. */
  at(index: number): VerifiableLocation | undefined {
    return this.#size[index] === 0 ? undefined : this.rowAt(index);
  }

  fileAt(index: number): number {
    return this.#file[index];
  }

  rowAt(index: number): VerifiableLocation {
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
    return index === undefined ? undefined : this.rowAt(index);
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
