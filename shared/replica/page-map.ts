import { assert } from "../assert.ts";
import type { PageLocation } from "./page-locator.ts";

const OFFSET_HIGH = 2 ** 32;

/** Files that a page map can tell apart. */
export const PLAN_FILES_MAX = 0x1_0000;

/**
 * For every page of a database at one TXID, where its newest version lies: 12 bytes a page in typed
 * arrays. A Map of objects would take a hundred, and a Worker has 128 MB.
 */
export class PageMap {
  /** Size of the database, in pages. */
  readonly commit: number;
  readonly #file: Uint16Array;
  readonly #offsetLow: Uint32Array;
  readonly #offsetHigh: Uint16Array;
  readonly #size: Uint32Array;

  constructor(commit: number) {
    this.commit = commit;
    this.#file = new Uint16Array(commit);
    this.#offsetLow = new Uint32Array(commit);
    this.#offsetHigh = new Uint16Array(commit);
    this.#size = new Uint32Array(commit);
  }

  /** Bytes of memory that the map takes. */
  get sizeBytes(): number {
    return this.commit * 12;
  }

  /**
   * Says where a newer version of a page lies. Files come in the order of the plan, so that what is
   * set last has the highest last TXID. Pages beyond the database's end are left out.
   */
  set(pgno: number, { file, offset, size }: PageLocation): void {
    assert(
      file < PLAN_FILES_MAX && offset < OFFSET_HIGH * 0x1_0000,
      "a plan beyond what a page map holds",
    );
    if (pgno > this.commit) return;
    this.#file[pgno - 1] = file;
    this.#offsetLow[pgno - 1] = offset;
    this.#offsetHigh[pgno - 1] = Math.floor(offset / OFFSET_HIGH);
    this.#size[pgno - 1] = size;
  }

  /** Undefined when no file holds the page, as none holds the lock page. */
  get(pgno: number): PageLocation | undefined {
    const index = pgno - 1;
    const size = this.#size[index] ?? 0;
    if (size === 0) return undefined;
    const offset = this.#offsetHigh[index] * OFFSET_HIGH + this.#offsetLow[index];
    return { file: this.#file[index], offset, size };
  }
}
