import type { PageLocation } from "../page-locator.ts";
import type { VerifiableLocation } from "./location-coding.ts";

const OFFSET_HIGH = 2 ** 32;

/** Where every page of a database lies and what it is verified by: 16 bytes a page, in typed arrays. */
export class PageTable {
  /** Size of the database, in pages. */
  readonly commit: number;
  readonly #file: Uint16Array;
  readonly #offsetHigh: Uint16Array;
  readonly #offsetLow: Uint32Array;
  readonly #size: Uint32Array;
  readonly #checksum: Uint32Array;

  constructor(commit: number) {
    this.commit = commit;
    this.#file = new Uint16Array(commit);
    this.#offsetHigh = new Uint16Array(commit);
    this.#offsetLow = new Uint32Array(commit);
    this.#size = new Uint32Array(commit);
    this.#checksum = new Uint32Array(commit);
  }

  /** Says where a newer version of a page lies. Pages beyond the database's end are left out. */
  set(pgno: number, { file, offset, size, checksum }: VerifiableLocation): void {
    const index = pgno - 1;
    if (index >= this.commit) return;
    this.#file[index] = file;
    this.#offsetHigh[index] = Math.floor(offset / OFFSET_HIGH);
    this.#offsetLow[index] = offset;
    this.#size[index] = size;
    this.#checksum[index] = checksum;
  }

  /** Says where the same version of a page lies elsewhere; the checksum stays. */
  move(pgno: number, { file, offset, size }: PageLocation): void {
    const index = pgno - 1;
    if (index < this.commit)
      this.set(pgno, { file, offset, size, checksum: this.#checksum[index] });
  }

  /** Forgets where pages lie, from `firstPgno` on; checksums stay. */
  forgetPlaces(firstPgno: number): void {
    this.#size.fill(0, firstPgno - 1);
  }

  /** Null when no file holds the page, as none holds the lock page. */
  get(pgno: number): VerifiableLocation | null {
    const index = pgno - 1;
    const size = this.#size[index] ?? 0;
    if (size === 0) return null;
    return {
      file: this.#file[index],
      offset: this.#offsetHigh[index] * OFFSET_HIGH + this.#offsetLow[index],
      size,
      checksum: this.#checksum[index],
    };
  }
}
