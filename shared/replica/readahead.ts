/**
 * What to fetch beside the page that was asked for. Pure: uses and faults go in, pages come out.
 *
 * Several scans may run through a database at once (a join, an index beside its table). Each has a
 * head, the page that it will ask for next; a fault that continues a head doubles its window, any
 * other begins a new head with a window of one page. Single lookups make many such heads, so they
 * and those that proved to be scans do not push one another out. Whatever the pattern, no more is fetched than
 * twice what is used, and `slackPages`.
 */

interface Head {
  /** The page that would continue the scan. */
  next: number;
  windowPages: number;
}

/** Scans that are followed at a time. */
const SCANS_MAX = 8;
/** Single faults that are remembered, since each may be the first of a scan. */
const SINGLES_MAX = 64;
/** A scan that skips pages which are at hand still continues; looked over so many. */
const SKIP_MAX = 64;

export interface ReadAheadOptions {
  /** Size of the database, in pages. */
  readonly pageCount: number;
  /** Largest window, in pages. */
  readonly windowPagesMax: number;
  /** Pages that may be fetched for nothing beyond as many as were used. */
  readonly slackPages: number;
  /** Says whether a page is at hand already. */
  readonly isResident: (pgno: number) => boolean;
}

export class ReadAhead {
  readonly #options: ReadAheadOptions;
  /** Least recently used first. */
  readonly #heads: Head[] = [];
  /** Pages that were fetched ahead and have not been used yet. */
  readonly #ahead = new Set<number>();
  #fetched = 0;
  #used = 0;

  constructor(options: ReadAheadOptions) {
    this.#options = options;
  }

  /** Notes that a page which is at hand was asked for: what is fetched ahead has to earn its place. */
  onUse(pgno: number): void {
    if (this.#ahead.delete(pgno)) this.#used++;
  }

  /** The pages to fetch for a fault at `pgno`: itself first, then those of the window in order. */
  onFault(pgno: number): number[] {
    const { pageCount, windowPagesMax, slackPages, isResident } = this.#options;
    const head = this.#takeHead(pgno);
    this.#ahead.delete(pgno);
    this.#used++;
    const window = Math.min(Math.max(1, 2 * head.windowPages), windowPagesMax);
    const fetchMax = 2 * this.#used + slackPages - this.#fetched;
    const pages = [pgno];
    const end = Math.min(pgno + window, pageCount + 1);
    let next = pgno + 1;
    for (; next < end && pages.length < fetchMax; next++) {
      if (isResident(next)) continue;
      pages.push(next);
      this.#ahead.add(next);
    }
    this.#fetched += pages.length;
    head.next = next;
    head.windowPages = next - pgno;
    this.#keepHead(head);
    return pages;
  }

  #keepHead(head: Head): void {
    this.#heads.push(head);
    const isScan = head.windowPages > 1;
    const isAlike = ({ windowPages }: Head) => windowPages > 1 === isScan;
    if (this.#heads.filter(isAlike).length <= (isScan ? SCANS_MAX : SINGLES_MAX)) return;
    this.#heads.splice(this.#heads.findIndex(isAlike), 1);
  }

  #takeHead(pgno: number): Head {
    const index = this.#heads.findIndex((head) => this.#continues(head, pgno));
    const [head] = index === -1 ? [] : this.#heads.splice(index, 1);
    return head ?? { next: pgno, windowPages: 0 };
  }

  #continues({ next }: Head, pgno: number): boolean {
    if (pgno < next || pgno > next + SKIP_MAX) return false;
    for (let skipped = next; skipped < pgno; skipped++) {
      if (!this.#options.isResident(skipped)) return false;
    }
    return true;
  }
}
