import type { PrefetchBudget } from "./budget.ts";
import { FetchWindow, requestsOfWindow } from "./fetch-window.ts";
import type { KnownTrees, PageAhead } from "./known-trees.ts";
import type { OverflowChains } from "./overflow-chains.ts";
import type { TreePlace } from "./tree-page.ts";
import type { NextWindow, WindowAhead } from "./windows-ahead.ts";

type Direction = 1 | -1;

/** One scan that may go on, or a single fault that may be the first of one. */
interface Head {
  /** The page that was asked for last, and the one that its window ended with. */
  readonly asked: number;
  readonly last: number;
  /** Parent of the page that was asked for; 0 where it is not known. */
  readonly parentPgno: number;
  /** 0 as long as it may still go either way. */
  readonly direction: Direction | 0;
  /** 0 after a single fault. */
  readonly windowBytes: number;
  /** Windows that the scan has had. */
  readonly windows: number;
  /** The last page of a row that is read, where there is one. */
  readonly endPgno: number | undefined;
}

/** How much may be fetched for one fault. */
interface Window {
  /** Bytes of frames. */
  readonly bytesMax: number;
  readonly requestsMax: number;
}

/** Scans that are followed at a time. */
const SCANS_MAX = 8;
/** Single faults that are remembered, since each may be the first of a scan. */
const SINGLES_MAX = 64;
/** Parents whose last fault is remembered. */
const PARENTS_MAX = 64;
/** A scan that skips pages which are at hand still continues; looked over so many. */
const SKIP_MAX = 64;
/** Windows that a scan has had before the next one begins ahead of it: by then it has lasted. */
const WINDOWS_MIN = 2;
/** Pages that are looked at for one fault. */
const LOOK_MAX = 8_192;
export interface ScansOptions {
  readonly trees: KnownTrees;
  readonly chains: OverflowChains;
  readonly budget: PrefetchBudget;
  readonly isAtHand: (pgno: number) => boolean;
  /** Largest window of a scan whose second page was asked for right after its first, in bytes. */
  readonly firstWindowBytes: number;
  readonly windowBytesMax: number;
  readonly windowPagesMax?: number | undefined;
}

/**
 * Scans, and what each will ask for next: in the order of its tree where the parent of a page is known, and in
 * the order of the file otherwise. Several may run at once (a join, an index beside its table), and
 * go on after an interruption. A fault that continues none begins one, and fetches nothing ahead.
 *
 * Two neighbours that were asked for one right after the other are a scan; two that others came between may be chance, so
 * their window begins small.
 */
export class Scans {
  readonly #options: ScansOptions;
  /** By the page that they ended with; least recently used first. */
  readonly #heads = new Map<number, Head>();
  /** What was last asked for under a parent, by the parent. */
  readonly #lastUnder = new Map<number, number>();
  #lastAsked = 0;
  /** The page that the window of the last fault ended with. */
  #lastEnd = 0;
  /** Window of the next scan that begins, in bytes: smaller when the last ones ended soon. */
  #firstWindowBytes: number;
  /** What the last scan that began fetched ahead. */
  #tried: readonly number[] = [];

  constructor(options: ScansOptions) {
    this.#options = options;
    this.#firstWindowBytes = options.firstWindowBytes;
  }

  /**
   * The pages to fetch with `pgno`, those that are needed first coming first.
   *
   * @param isGuided Says, by the page that its tree begins with, whether something else than a scan moves on through it:
   *   then neighbours are asked for seldom.
   */
  onFault(pgno: number, isGuided: (topPgno: number) => boolean): number[] {
    const { trees } = this.#options;
    const place = trees.placeOf(pgno);
    const head = this.#takeHead(pgno, place);
    const isInRow = head?.endPgno !== undefined && pgno <= head.endPgno;
    const endPgno = isInRow ? head.endPgno : this.#rowEnd(pgno, place);
    const isTree = place !== undefined && !isGuided(trees.topOf(pgno));
    const window = head && this.#nextWindow(head, pgno, isTree || endPgno !== undefined);
    const found = window && this.#collect(pgno, { ...head, place, window, endPgno });
    if (head?.windows === 0) this.#tried = found?.pages ?? [];
    this.#lastAsked = pgno;
    this.#lastEnd = found?.last ?? pgno;
    this.#keepHead({
      asked: pgno,
      last: this.#lastEnd,
      parentPgno: place?.parent.pgno ?? 0,
      direction: head?.direction ?? 0,
      windowBytes: window?.bytesMax ?? 0,
      windows: head === undefined ? 0 : head.windows + 1,
      endPgno,
    });
    return found?.pages ?? [];
  }

  /** What the scan of the last fault will go on with behind the window that it got. */
  next(): NextWindow {
    const last = this.#lastEnd;
    return () => this.#goOn(last);
  }

  /** The window behind the one that ended with a page, as if its first page had been asked for. */
  #goOn(last: number): WindowAhead | undefined {
    const { trees, budget, firstWindowBytes, windowBytesMax } = this.#options;
    const head = this.#heads.get(last);
    if (head === undefined || head.direction === 0) return undefined;
    const { direction, endPgno, windows, windowBytes } = head;
    if (windows < WINDOWS_MIN || windowBytes < firstWindowBytes) return undefined;
    const first = this.#firstBehind(head);
    if (first === undefined) return undefined;
    const place = trees.placeOf(first);
    const bytesMax = Math.min(2 * windowBytes, windowBytesMax);
    const leftBytes = Math.min(bytesMax, budget.leftBytes);
    if (budget.costOf(first) > leftBytes) return undefined;
    const window = { bytesMax: leftBytes, requestsMax: requestsOfWindow(windows + 1) };
    const found = this.#collect(first, { place, direction, window, endPgno });
    // Half a window now would be half a window always: it is fetched when it is asked for.
    if (found.isFull && leftBytes < bytesMax) return undefined;
    this.#heads.delete(last);
    const parentPgno = place?.parent.pgno ?? 0;
    const next = { asked: first, last: found.last, parentPgno, windowBytes: bytesMax };
    this.#keepHead({ ...head, ...next, windows: windows + 1 });
    return { sure: [], likely: [first, ...found.pages], next: () => this.#goOn(found.last) };
  }

  /** The first page behind a scan's last window that is not at hand, where it can be told. */
  #firstBehind({ last, parentPgno, direction, endPgno = Infinity }: Head): number | undefined {
    const { trees, isAtHand } = this.#options;
    const place = trees.placeOf(last);
    if (direction === 0 || (place === undefined && parentPgno !== 0)) return undefined;
    let skipped = 0;
    for (const { pgno, level } of this.#ahead(last, place, direction)) {
      if (pgno > endPgno || ++skipped > SKIP_MAX) return undefined;
      // What lies below a page that is not at hand comes first, and nobody knows it.
      if (level > 0 && trees.page(pgno) === undefined) return undefined;
      if (level === 0 && !isAtHand(pgno)) return pgno;
    }
    return undefined;
  }

  /** Where the row ends that goes on with this page. */
  #rowEnd(pgno: number, place: TreePlace | undefined): number | undefined {
    const length = place === undefined ? this.#options.chains.lengthFrom(pgno) : undefined;
    return length && pgno + length - 1;
  }

  /** Takes out the scan that a fault continues, with the direction that it has then. */
  #takeHead(
    pgno: number,
    place: TreePlace | undefined,
  ): (Head & { direction: Direction }) | undefined {
    const directions: readonly Direction[] = place === undefined ? [1] : [1, -1];
    for (const direction of directions) {
      const head = this.#headBefore(pgno, place, direction);
      if (head === undefined) continue;
      this.#heads.delete(head.last);
      return { ...head, direction };
    }
    return undefined;
  }

  #headBefore(pgno: number, place: TreePlace | undefined, direction: Direction): Head | undefined {
    let skipped = 0;
    for (const before of this.#ahead(pgno, place, direction === 1 ? -1 : 1)) {
      const head = before.level === 0 ? this.#heads.get(before.pgno) : undefined;
      if (head !== undefined && head.direction !== -direction) return head;
      if (++skipped > SKIP_MAX || !this.#options.isAtHand(before.pgno)) return undefined;
    }
    return undefined;
  }

  #nextWindow(head: Head, pgno: number, isSure: boolean): Window {
    const { asked, parentPgno, windowBytes, windows } = head;
    const { budget, windowBytesMax } = this.#options;
    const isLast = asked === this.#lastAsked || asked === this.#lastUnder.get(parentPgno);
    const least = isSure && isLast ? this.#surely(windows) : 2 * budget.costOf(pgno);
    return {
      bytesMax: Math.min(Math.max(least, 2 * windowBytes), windowBytesMax),
      requestsMax: requestsOfWindow(windows + 1),
    };
  }

  /** What a scan takes at least that is no chance, in bytes: its first window goes by how far the last scans went. */
  #surely(windows: number): number {
    const { budget, firstWindowBytes } = this.#options;
    if (windows > 0) return firstWindowBytes;
    const unused = this.#tried.filter((pgno) => budget.isUnused(pgno)).length;
    const factor = 2 * unused > this.#tried.length ? 1 / 2 : 2;
    this.#firstWindowBytes = Math.min(firstWindowBytes, factor * this.#firstWindowBytes);
    return this.#firstWindowBytes;
  }

  /** The pages of a window that are not at hand, and the last one that it goes to without a gap. */
  #collect(
    pgno: number,
    {
      place,
      direction,
      window,
      endPgno = Infinity,
    }: Pick<Head, "endPgno"> & {
      place: TreePlace | undefined;
      direction: Direction;
      window: Window;
    },
  ): { pages: number[]; last: number; isFull: boolean } {
    const { budget, isAtHand, windowPagesMax: pagesMax, trees } = this.#options;
    const found = new FetchWindow({ asked: pgno, budget, isAtHand, pagesMax, ...window });
    const asked = budget.costOf(pgno);
    let last = pgno;
    let looked = 0;
    // What lies below interior pages that are not at hand, by what their siblings have: the next window's.
    let hiddenBytes = 0;
    for (const { pgno: next, level, siblings } of this.#ahead(pgno, place, direction)) {
      if (next > endPgno || ++looked > LOOK_MAX || found.bytes + hiddenBytes >= 2 * window.bytesMax)
        break;
      if (level === 0 && hiddenBytes > 0) continue;
      if (!isAtHand(next) && !found.has(next) && !found.add(next)) break;
      // Also below one that is under way: only it says what lies there.
      if (level > 0 && trees.page(next) === undefined) hiddenBytes += siblings * asked;
      if (level === 0) last = next;
    }
    return { pages: found.pages, last, isFull: found.isFull };
  }

  #ahead(pgno: number, place: TreePlace | undefined, direction: Direction): Iterable<PageAhead> {
    const { trees } = this.#options;
    return place === undefined ? trees.inFile(pgno, direction) : trees.ahead(place, direction);
  }

  #keepHead(head: Head): void {
    this.#heads.delete(head.last);
    this.#heads.set(head.last, head);
    dropOldest(this.#heads, ({ direction }) => direction !== 0, SCANS_MAX);
    dropOldest(this.#heads, ({ direction }) => direction === 0, SINGLES_MAX);
    if (head.parentPgno === 0) return;
    this.#lastUnder.delete(head.parentPgno);
    this.#lastUnder.set(head.parentPgno, head.asked);
    dropOldest(this.#lastUnder, () => true, PARENTS_MAX);
  }
}

/** Drops the entries that were put in first, of those that are meant, until so many are left. */
function dropOldest<Value>(
  map: Map<number, Value>,
  isMeant: (value: Value) => boolean,
  countMax: number,
): void {
  const meant = [...map].filter(([, value]) => isMeant(value));
  for (const [key] of meant.slice(0, Math.max(0, meant.length - countMax))) map.delete(key);
}
