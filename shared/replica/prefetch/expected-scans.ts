import type { PrefetchBudget } from "./budget.ts";
import type { KnownTrees } from "./known-trees.ts";
import type { TreePlace } from "./tree-page.ts";
import type { WindowAhead } from "./windows-ahead.ts";

type Direction = 1 | -1;

/** How far a scan of a tree has come. */
interface Progress {
  readonly direction: Direction;
  /** The last page that was asked for, the page above it where that is known, and which of its children it is. */
  readonly asked: number;
  readonly parentPgno: number | undefined;
  readonly index: number;
}

/** What to fetch with a page of a tree that is expected to be read as a whole. */
export interface ExpectedPages {
  /** Pages of the tree, those that are needed first coming first. */
  readonly sure: readonly number[];
  /** What lies between them, where that saves a read. */
  readonly likely: readonly number[];
}

/**
 * Reads that may be made for the pages below one that has just been asked for itself: if they are interior pages, what
 * is wanted next is below the first of them. Otherwise all are wanted, however many reads that takes.
 */
const READS_BELOW_MAX = 12;
/** Pages that each read has to bring on average for more of them to be made all the same. */
const PAGES_A_READ_MIN = 4;
/** Pages between two in the file that may be fetched along rather than take another read. */
const BETWEEN_PAGES_MAX = 8;
/** Share of a window that may lie between its pages. */
const BETWEEN_SHARE = 1 / 8;
/** Share of a window that is left for the interior pages which the next one needs. */
const INTERIOR_SHARE = 1 / 16;
/** Pages that are looked at for one fault, in each direction. */
const LOOK_MAX = 8_192;

export interface ExpectedScansOptions {
  readonly trees: KnownTrees;
  readonly budget: PrefetchBudget;
  readonly isAtHand: (pgno: number) => boolean;
  readonly windowBytesMax: number;
  readonly windowPagesMax?: number | undefined;
}

/**
 * Trees that the running statement reads as a whole if it reads anything of them, as its own program says. So
 * the first fault in one may fetch as much as any later one: the pages ahead are no guess.
 */
export class ExpectedScans {
  readonly #options: ExpectedScansOptions;
  /** By the roots of the trees. */
  readonly #progress = new Map<number, Progress | undefined>();

  constructor(options: ExpectedScansOptions) {
    this.#options = options;
  }

  /** Sets the trees, by their roots, in the place of those before. */
  expect(rootPgnos: readonly number[]): void {
    if (rootPgnos.length === 0 && this.#progress.size === 0) return;
    this.#progress.clear();
    for (const rootPgno of rootPgnos) this.#progress.set(rootPgno, undefined);
    this.#options.trees.expect(new Set(rootPgnos));
    this.#options.budget.endSurety();
  }

  /** What to fetch with `pgno`; undefined where it is in no such tree, or nothing is known of what comes next. */
  onFault(pgno: number): ExpectedPages | undefined {
    if (this.#progress.size === 0) return undefined;
    const { trees } = this.#options;
    const rootPgno = trees.expectedRootOf(pgno);
    if (rootPgno === undefined) return undefined;
    const place = trees.placeOf(pgno);
    const before = this.#progress.get(rootPgno);
    const direction = directionOf(before, place);
    const parentPgno = place?.parent.pgno;
    this.#progress.set(rootPgno, { direction, asked: pgno, parentPgno, index: place?.index ?? 0 });
    if (place === undefined) return undefined;
    const isBelow = before !== undefined && before.asked === place.parent.pgno;
    const ways = before?.parentPgno === undefined ? [direction, opposite(direction)] : [direction];
    const ahead = this.#ahead(pgno, place, ways).pages;
    const sure = isBelow ? shorten(pgno, ahead) : ahead;
    return sure.length === 0 ? undefined : { sure, likely: this.#between([pgno, ...sure]) };
  }

  /**
   * What comes after a window, from one of its pages on that is being used or waited for; undefined where nothing is
   * known of it, or there is no room for it now.
   */
  goOn(usedPgno: number): WindowAhead | undefined {
    const { trees } = this.#options;
    const rootPgno = trees.expectedRootOf(usedPgno);
    const before = rootPgno === undefined ? undefined : this.#progress.get(rootPgno);
    if (before === undefined) return undefined;
    const { direction } = before;
    const page = trees.page(usedPgno);
    const place =
      page?.isInterior === true
        ? { parent: page, index: direction === 1 ? -1 : page.cellCount + 1 }
        : trees.placeOf(usedPgno);
    if (place === undefined) return undefined;
    // What lies behind has been used, and may be at hand no more.
    const { pages: sure, lastLeaf } = this.#ahead(usedPgno, place, [direction]);
    if (sure.length === 0) return undefined;
    // From its end on, so that none of its pages is looked at again; from what is used where that leads nowhere.
    const next = (pgno: number) =>
      (lastLeaf === undefined ? undefined : this.goOn(lastLeaf)) ?? this.goOn(pgno);
    return { sure, likely: this.#between(sure), next };
  }

  /**
   * The pages of a window that are not at hand, and the interior pages that the next window's lie below. What lies behind
   * is wanted as well as long as it is not known which way the scan goes; later it has been read.
   */
  #ahead(
    pgno: number,
    place: TreePlace,
    ways: readonly Direction[],
  ): { pages: number[]; lastLeaf: number | undefined } {
    const { budget, windowBytesMax, windowPagesMax = Infinity, isAtHand, trees } = this.#options;
    const asked = budget.costOf(pgno);
    const bytesMax = Math.min(windowBytesMax - asked, budget.leftSureBytes);
    const pages = new Set<number>();
    let lastLeaf: number | undefined;
    let bytes = 0;
    const beyondBytesMax = Math.min(bytesMax, windowPagesMax * asked);
    for (const way of ways) {
      let looked = 0;
      // The next window's: pages for which there is no room, or that lie below what is not at hand.
      let beyondBytes = 0;
      for (const { pgno: next, level, siblings } of trees.ahead(place, way)) {
        if (++looked > LOOK_MAX || beyondBytes >= beyondBytesMax) break;
        if (next === pgno || pages.has(next)) continue;
        if (level === 0 && beyondBytes > 0) {
          beyondBytes += asked;
          continue;
        }
        // Also below one that is under way: only it says what lies there.
        if (level > 0 && trees.page(next) === undefined) beyondBytes += siblings * asked;
        if (isAtHand(next)) continue;
        const more = bytes + budget.costOf(next);
        const isFull = more > (1 - INTERIOR_SHARE) * bytesMax || pages.size + 1 >= windowPagesMax;
        if (level === 0 && isFull) beyondBytes += asked;
        else if (more <= bytesMax) {
          pages.add(next);
          if (level === 0) lastLeaf = next;
          bytes = more;
        }
      }
    }
    return { pages: [...pages], lastLeaf };
  }

  /** What lies between pages that are near each other and is not at hand. */
  #between(pages: readonly number[]): number[] {
    const { budget, isAtHand } = this.#options;
    const costOf = (pgnos: readonly number[]): number =>
      pgnos.reduce((sum, pgno) => sum + budget.costOf(pgno), 0);
    const found: number[] = [];
    let leftBytes = Math.min(budget.leftBytes, BETWEEN_SHARE * costOf(pages));
    const ascending = pages.toSorted((a, b) => a - b);
    for (const [index, pgno] of ascending.entries()) {
      const next = ascending[index + 1] ?? pgno;
      if (next - pgno - 1 > BETWEEN_PAGES_MAX) continue;
      const gap = Array.from({ length: Math.max(0, next - pgno - 1) }, (_, n) => pgno + 1 + n);
      const missing = gap.filter((between) => !isAtHand(between));
      // What is at hand is read over, and as good as fetched for nothing.
      leftBytes -= costOf(gap);
      if (leftBytes < 0) break;
      found.push(...missing);
    }
    return found;
  }
}

/** Which way a scan goes: as it has gone under the parent of what is asked for, else as before. */
function directionOf(before: Progress | undefined, place: TreePlace | undefined): Direction {
  if (place === undefined) return 1;
  // Where it begins at the last child of a page, there is more to come before it.
  if (before?.parentPgno === undefined) return place.index === place.parent.cellCount ? -1 : 1;
  if (before.parentPgno !== place.parent.pgno) return before.direction;
  return place.index < before.index ? -1 : 1;
}

function opposite(direction: Direction): Direction {
  return direction === 1 ? -1 : 1;
}

/** As many pages, from the first on, as may be read below one that has just been asked for. */
function shorten(pgno: number, pages: readonly number[]): readonly number[] {
  let some = pages;
  // Each turn halves them. Leaves lie together more often than not, and interior pages do not.
  while (readsFor([pgno, ...some]) > Math.max(READS_BELOW_MAX, some.length / PAGES_A_READ_MIN)) {
    some = some.slice(0, some.length >> 1);
  }
  return some;
}

/** Reads that some pages take, as far as their numbers say. */
function readsFor(pages: readonly number[]): number {
  const ascending = pages.toSorted((a, b) => a - b);
  return ascending.filter((pgno, n) => n === 0 || pgno - ascending[n - 1] > BETWEEN_PAGES_MAX + 1)
    .length;
}
