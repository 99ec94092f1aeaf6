/**
 * What to fetch beside the page that was asked for. Pure: faults go in, window sizes come out.
 *
 * Several scans may run through a database at once (a join, an index beside its table). Each has a
 * head, the page that it will ask for next; a fault that continues a head doubles its window, any
 * other begins a new head with a window of one page. A window is at most one page more than what its scan has
 * used, so the bytes that are fetched stay below twice those that are used, and one page.
 */

interface Head {
  /** The page that would continue the scan. */
  next: number;
  windowPages: number;
}

const HEADS_MAX = 8;
/** A scan that skips pages which are at hand still continues; looked over so many. */
const SKIP_MAX = 64;

export interface ReadAheadOptions {
  /** Largest window, in pages. */
  readonly windowPagesMax: number;
  /** Says whether a page is at hand already. */
  readonly isResident: (pgno: number) => boolean;
}

export class ReadAhead {
  readonly #options: ReadAheadOptions;
  /** Least recently used first. */
  readonly #heads: Head[] = [];

  constructor(options: ReadAheadOptions) {
    this.#options = options;
  }

  /** How many pages to fetch for a fault at `pgno`, itself included. */
  onFault(pgno: number): number {
    const index = this.#heads.findIndex((head) => this.#continues(head, pgno));
    const [head = { next: pgno, windowPages: 0 }] =
      index === -1 ? [] : this.#heads.splice(index, 1);
    head.windowPages = Math.min(Math.max(1, 2 * head.windowPages), this.#options.windowPagesMax);
    head.next = pgno + head.windowPages;
    this.#heads.push(head);
    if (this.#heads.length > HEADS_MAX) this.#heads.shift();
    return head.windowPages;
  }

  #continues({ next }: Head, pgno: number): boolean {
    if (pgno < next || pgno > next + SKIP_MAX) return false;
    for (let skipped = next; skipped < pgno; skipped++) {
      if (!this.#options.isResident(skipped)) return false;
    }
    return true;
  }
}
