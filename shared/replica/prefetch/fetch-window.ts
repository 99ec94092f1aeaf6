import type { PrefetchBudget } from "./budget.ts";

/** Reads of a store that run at a time: as long as there are fewer, one more costs no round trip. */
const REQUESTS_AT_A_TIME = 6;
/** Pages between two that are fetched along rather than let a read for one page begin a new round. */
const BETWEEN_PAGES_MAX = 8;
/** Bytes between two frames that a reader reads over, as asking twice costs more. */
const GAP_BYTES_MAX = 4 * 1024;

/** Pages that lie between two of a window, at hand or not, and the bytes of their frames. */
interface Gap {
  readonly pgnos: readonly number[];
  readonly bytes: number;
}

/**
 * Reads that one fault of a scan may cause where pages lie scattered, by the windows that it has had. Whoever waits
 * for all of them waits longer for nothing at the scan's end, so that it has to have lasted.
 */
export function requestsOfWindow(windows: number): number {
  if (windows <= 4) return REQUESTS_AT_A_TIME;
  return windows <= 8 ? 2 * REQUESTS_AT_A_TIME : 4 * REQUESTS_AT_A_TIME;
}

export interface FetchWindowOptions {
  /** The page that was asked for, which is fetched in any case. */
  readonly asked: number;
  readonly budget: PrefetchBudget;
  readonly isAtHand: (pgno: number) => boolean;
  /** Bytes of frames, the asked page's included. */
  readonly bytesMax: number;
  /** Pages, the asked one included. As many as fit where it is not given. */
  readonly pagesMax?: number | undefined;
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
  #isFull = false;

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

  /** A page was left out since there was no room for its bytes. */
  get isFull(): boolean {
    return this.#isFull;
  }

  has(pgno: number): boolean {
    return this.#pages.has(pgno);
  }

  /**
   * Adds a page that is not at hand; false where there is no room. What lies between it and another page is added,
   * too, where it is so little that the reader would read over it or that it hardly counts, and where the page would
   * begin a new round.
   */
  add(pgno: number): boolean {
    const gaps = [this.#gap(pgno, -1), this.#gap(pgno, 1)].filter((gap) => gap !== undefined);
    const smallBytes = Math.max(GAP_BYTES_MAX, this.#bytes / 8);
    const small = gaps.filter(({ bytes }) => bytes <= smallBytes);
    if (small.length > 0 && this.#put(pgno, small)) return true;
    const isNewRound = this.#requests >= REQUESTS_AT_A_TIME;
    if (isNewRound && gaps.length > 0 && this.#put(pgno, gaps.slice(0, 1))) return true;
    return this.#requests < this.#options.requestsMax && this.#put(pgno, []);
  }

  #put(pgno: number, gaps: readonly Gap[]): boolean {
    const cost = this.#options.budget.costOf(pgno);
    const bytes = gaps.reduce((sum, gap) => sum + gap.bytes, this.#bytes + cost);
    const { pagesMax = Infinity } = this.#options;
    const pages = gaps.reduce((sum, gap) => sum + gap.pgnos.length, this.#pages.size + 1);
    if (bytes > this.#bytesMax) this.#isFull = true;
    if (bytes > this.#bytesMax || pages > pagesMax) return false;
    for (const between of gaps.flatMap(({ pgnos }) => pgnos)) {
      if (!this.#options.isAtHand(between)) this.#pages.add(between);
    }
    this.#pages.add(pgno);
    this.#bytes = bytes;
    this.#requests += 1 - gaps.length;
    return true;
  }

  /**
   * What lies between a page and the next one of the window on one side; undefined where none is near, or
   * more is at hand between them than a reader reads over.
   */
  #gap(pgno: number, step: 1 | -1): Gap | undefined {
    const { budget, isAtHand } = this.#options;
    let distance = 1;
    while (!this.#pages.has(pgno + step * distance)) {
      if (distance++ > BETWEEN_PAGES_MAX) return undefined;
    }
    // The window's page comes first, as it is needed first.
    const pgnos = Array.from({ length: distance - 1 }, (_, i) => pgno + step * (distance - 1 - i));
    const bytesOf = (some: readonly number[]): number =>
      some.reduce((sum, between) => sum + budget.costOf(between), 0);
    if (bytesOf(pgnos.filter(isAtHand)) > GAP_BYTES_MAX) return undefined;
    return { pgnos, bytes: bytesOf(pgnos) };
  }
}
