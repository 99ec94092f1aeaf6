import type { PrefetchBudget } from "./budget.ts";

/** Reads of a store that run at a time: as long as there are fewer, one more costs no round trip. */
const REQUESTS_AT_A_TIME = 6;
/** Pages between two that are fetched along rather than let a read for one page begin a new round. */
const BETWEEN_PAGES_MAX = 8;

export interface FetchWindowOptions {
  /** The page that was asked for, which is fetched in any case. */
  readonly asked: number;
  readonly budget: PrefetchBudget;
  readonly isAtHand: (pgno: number) => boolean;
  /** Bytes of frames, the asked page's included. */
  readonly bytesMax: number;
  /** Reads that the pages may take, as far as their numbers say. */
  readonly requestsMax: number;
}

/** The pages that one fault fetches, as they are put together. */
export class FetchWindow {
  readonly #options: FetchWindowOptions;
  readonly #bytesMax: number;
  readonly #pages = new Set<number>();
  #bytes = 0;
  #requests = 1;

  constructor(options: FetchWindowOptions) {
    const { asked, budget, bytesMax } = options;
    this.#options = options;
    this.#bytesMax = Math.min(bytesMax - budget.costOf(asked), budget.leftBytes);
    this.#pages.add(asked);
  }

  /** What is fetched ahead, without the page that was asked for, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The pages to fetch ahead, in the order in which they were added. */
  get pages(): number[] {
    return [...this.#pages].slice(1);
  }

  has(pgno: number): boolean {
    return this.#pages.has(pgno);
  }

  /**
   * Adds a page that is not at hand; false where there is no room. Where it would begin a new round,
   * what lies between it and another page is added, too, so that both are one read.
   */
  add(pgno: number): boolean {
    const isNear = this.#pages.has(pgno - 1) || this.#pages.has(pgno + 1);
    const between = isNear || this.#requests < REQUESTS_AT_A_TIME ? [] : this.#between(pgno);
    if (between.length > 0 && this.#put([...between, pgno], this.#requests)) return true;
    const requests = isNear ? this.#requests : this.#requests + 1;
    return requests <= this.#options.requestsMax && this.#put([pgno], requests);
  }

  #put(pgnos: readonly number[], requests: number): boolean {
    const { budget } = this.#options;
    const bytes = pgnos.reduce((sum, pgno) => sum + budget.costOf(pgno), this.#bytes);
    if (bytes > this.#bytesMax) return false;
    for (const pgno of pgnos) this.#pages.add(pgno);
    this.#bytes = bytes;
    this.#requests = requests;
    return true;
  }

  /** The pages not at hand from a page of the window to this one; none where there is none so near. */
  #between(pgno: number): number[] {
    for (const step of [-1, 1]) {
      const between: number[] = [];
      for (let distance = 1; distance <= BETWEEN_PAGES_MAX; distance++) {
        const next = pgno + step * distance;
        if (this.#pages.has(next + step)) return [...between, next].filter((at) => this.#lacks(at));
        between.push(next);
      }
    }
    return [];
  }

  #lacks(pgno: number): boolean {
    return !this.#pages.has(pgno) && !this.#options.isAtHand(pgno);
  }
}
