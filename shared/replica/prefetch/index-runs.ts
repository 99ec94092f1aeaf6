import type { PrefetchBudget } from "./budget.ts";
import { FetchWindow, requestsOfWindow } from "./fetch-window.ts";
import type { KnownTrees } from "./known-trees.ts";
import { haveSameFirstColumn, haveSameKey, type IndexEntry, indexEntryAt } from "./record.ts";
import type { TreePage } from "./tree-page.ts";

type Direction = 1 | -1;

/** The walk through the entries of one leaf of an index, as far as the faults of its table show it. */
interface Run {
  readonly leafPgno: number;
  readonly indexPgno: number;
  readonly tablePgno: number;
  /** Entries that the last fault may have been for; -1 and their count are beside the first and the last. */
  at: readonly number[];
  /** 0 as long as it may still go either way. */
  direction: Direction | 0;
  /** Windows that it has had: 0 until the second of two neighbours was asked for. */
  windows: number;
  /** All of its rows have had one first column, so that it may end with that. */
  isWithinFirstColumn: boolean;
}

/** Which way the entries go that are read, and which of them is beyond. */
interface Way {
  readonly direction: Direction;
  readonly isPast: (here: IndexEntry, next: IndexEntry) => boolean;
}

/** Leaves of indexes that are remembered: a join reads several. */
const LEAVES_MAX = 4;
/** Entries of one leaf, as far as it is not made to keep us busy. */
const ENTRIES_MAX = 4_096;
/** Entries that a fault may be for, of which each is looked ahead from. */
const PLACES_MAX = 4;

/** A run of which nothing is known. */
const NOT_BEGUN = { direction: 0, windows: 0, isWithinFirstColumn: true } as const;

export interface IndexRunsOptions {
  readonly trees: KnownTrees;
  readonly budget: PrefetchBudget;
  readonly isAtHand: (pgno: number) => boolean;
  readonly windowBytesMax: number;
  readonly windowPagesMax?: number | undefined;
}

/**
 * Rows that are read through an index: the index's leaf names the rowids, and so the pages of the table that
 * are asked for next.
 *
 * Nothing is fetched ahead until the table has been asked for the rows of two neighbours in the index; but where
 * the first of them is the first with its key, or with its first column, the others are likely to follow.
 */
export class IndexRuns {
  readonly #options: IndexRunsOptions;
  /** By their leaf; least recently used first. Undefined as long as no table was asked for a row. */
  readonly #runs = new Map<number, Run | undefined>();

  constructor(options: IndexRunsOptions) {
    this.#options = options;
  }

  /** Notes that a leaf of an index was used. */
  onUse(pgno: number): void {
    const run = this.#runs.get(pgno);
    this.#runs.delete(pgno);
    this.#runs.set(pgno, run);
    if (this.#runs.size <= LEAVES_MAX) return;
    for (const oldest of this.#runs.keys()) return void this.#runs.delete(oldest);
  }

  /** Says whether rows are being read through the index that this leaf belongs to. */
  isFollowing(indexPgno: number): boolean {
    return [...this.#runs.values()].some((run) => run?.indexPgno === indexPgno && run.windows > 0);
  }

  /**
   * The pages to fetch with `pgno`, those of the nearest entries first; undefined where it is not for a row
   * that could be foreseen.
   */
  onFault(pgno: number): number[] | undefined {
    if (this.#runs.size === 0) return undefined;
    const { trees } = this.#options;
    const topPgno = trees.topOf(pgno);
    for (const leafPgno of [...this.#runs.keys()].toReversed()) {
      const run = this.#runs.get(leafPgno) ?? this.#begin(leafPgno);
      const leaf = run?.tablePgno === topPgno ? trees.page(leafPgno) : undefined;
      if (run === undefined || leaf === undefined || leaf.cellCount > ENTRIES_MAX) continue;
      const missing = this.#missing(run, leaf);
      if (!missing.includes(pgno)) continue;
      const left = moveOn(run, missing, pgno);
      if (left !== undefined) this.#noteFirstColumn(run, leaf, left);
      const pages = this.#collect(run, leaf, pgno);
      return run.windows > 0 || pages.length > 0 ? pages : undefined;
    }
    return undefined;
  }

  #noteFirstColumn(run: Run, leaf: TreePage, left: number): void {
    const [before, here] = [left, run.at[0]].map((index) => this.#entryAt(leaf, index));
    if (before && here && !haveSameFirstColumn(before, here)) run.isWithinFirstColumn = false;
  }

  /** Begins a run where the one before it in the same index ended, if there was one. */
  #begin(leafPgno: number): Run | undefined {
    const { trees } = this.#options;
    const indexPgno = trees.topOf(leafPgno);
    const tablePgno = trees.schema.tableOf(indexPgno);
    if (tablePgno === undefined) return undefined;
    const before = [...this.#runs.values()].findLast(
      (run) => run?.indexPgno === indexPgno && run.windows > 0,
    );
    const { direction, windows } = before ?? NOT_BEGUN;
    const edge = direction === 1 ? -1 : (trees.page(leafPgno)?.cellCount ?? 0);
    const run: Run = {
      leafPgno,
      indexPgno,
      tablePgno,
      at: before === undefined ? [] : [edge],
      direction,
      windows,
      isWithinFirstColumn: before?.isWithinFirstColumn ?? true,
    };
    this.#runs.set(leafPgno, run);
    return run;
  }

  /**
   * For each entry of a leaf the first page on the way to its row that is not at hand, or that nobody has opened: no
   * row below such a page is at hand, and none has been asked for.
   */
  #missing({ tablePgno }: Run, leaf: TreePage): (number | undefined)[] {
    return Array.from({ length: leaf.cellCount }, (_, index) => {
      const entry = this.#entryAt(leaf, index);
      return entry && this.#options.trees.firstMissing(tablePgno, entry.rowid, false);
    });
  }

  #collect(run: Run, leaf: TreePage, pgno: number): number[] {
    const { budget, isAtHand, windowBytesMax: bytesMax, windowPagesMax: pagesMax } = this.#options;
    const requestsMax = requestsOfWindow(run.windows);
    const limits = { bytesMax, pagesMax, requestsMax };
    const found = new FetchWindow({ asked: pgno, budget, isAtHand, ...limits });
    // Where the fault may be for several entries, each may be the one.
    const walks = this.#ways(run, leaf).map((way) => this.#missingAhead(run, leaf, way));
    for (const missing of takingTurns(walks)) {
      if (!found.has(missing) && !found.add(missing)) break;
    }
    return found.pages;
  }

  /** Where to go from the entries that a fault may be for; nowhere where one of them may be all that is wanted. */
  #ways(run: Run, leaf: TreePage): (Way & { at: number })[] {
    const ways: (Way & { at: number })[] = [];
    for (const at of run.at.slice(0, PLACES_MAX)) {
      const way = run.windows > 0 ? wayOf(run) : this.#wayFromStart(leaf, at);
      if (way === undefined) return [];
      ways.push({ ...way, at });
    }
    return run.windows > 0 || run.at.length <= PLACES_MAX ? ways : [];
  }

  /** The pages not at hand on the way to the rows behind or before an entry, as far as the run may go. */
  *#missingAhead(
    run: Run,
    leaf: TreePage,
    { at, direction, isPast }: Way & { at: number },
  ): Generator<number, void, undefined> {
    const here = this.#entryAt(leaf, at);
    for (const next of this.#ahead(leaf, at, direction).take(ENTRIES_MAX)) {
      if (typeof next === "number") {
        yield next;
        return;
      }
      if (here !== undefined && isPast(here, next)) return;
      const missing = this.#options.trees.firstMissing(run.tablePgno, next.rowid, true) ?? 0;
      if (missing !== 0) yield missing;
    }
  }

  /**
   * Where to go from an entry that a first fault may be for: it has to be the first or the last of those with its
   * key, or with its first column. Whoever looks for one row would be somewhere among them.
   */
  #wayFromStart(leaf: TreePage, at: number): Way | undefined {
    const here = this.#entryAt(leaf, at);
    if (here === undefined) return undefined;
    const [before, behind] = [-1, 1].map((step) => this.#entryAt(leaf, at + step));
    for (const isPast of [isOfAnotherKey, isOfAnotherFirstColumn]) {
      const isFirst = before === undefined || isPast(here, before);
      const isLast = behind === undefined || isPast(here, behind);
      if (isFirst !== isLast) return { direction: isFirst ? 1 : -1, isPast };
    }
    return undefined;
  }

  /** The entries behind or before one, also in the next leaves; of one that is not at hand its number, and no more. */
  *#ahead(leaf: TreePage, edge: number, direction: Direction): Generator<IndexEntry | number> {
    const { trees, isAtHand } = this.#options;
    yield* this.#entries(leaf, edge + direction, direction);
    const place = trees.placeOf(leaf.pgno);
    if (place === undefined) return;
    for (const { pgno, level } of trees.ahead(place, direction)) {
      const page = trees.page(pgno);
      if (page === undefined) {
        if (!isAtHand(pgno)) yield pgno;
        return;
      }
      if (level > 0) continue;
      yield* this.#entries(page, direction === 1 ? 0 : page.cellCount - 1, direction);
    }
  }

  *#entries(leaf: TreePage, from: number, direction: Direction): Generator<IndexEntry> {
    for (let index = from; index >= 0 && index < leaf.cellCount; index += direction) {
      const entry = this.#entryAt(leaf, index);
      if (entry !== undefined) yield entry;
    }
  }

  #entryAt(leaf: TreePage, index: number): IndexEntry | undefined {
    return indexEntryAt(leaf, index, this.#options.trees.usableBytes);
  }
}

/** What some sequences give, one of each in turn. */
function* takingTurns(
  sequences: readonly Generator<number, void, undefined>[],
): Generator<number, void, undefined> {
  for (let left = [...sequences]; left.length > 0;) {
    const results = left.map((sequence) => sequence.next());
    for (const { done, value } of results) if (done !== true) yield value;
    left = left.filter((_, index) => results[index].done !== true);
  }
}

/** A run goes on as it has gone, and ends with the first column where it has had but one. */
function wayOf({ direction, isWithinFirstColumn }: Run): Way | undefined {
  if (direction === 0) return undefined;
  return { direction, isPast: isWithinFirstColumn ? isOfAnotherFirstColumn : () => false };
}

function isOfAnotherKey(here: IndexEntry, next: IndexEntry): boolean {
  return !haveSameKey(here, next);
}

function isOfAnotherFirstColumn(here: IndexEntry, next: IndexEntry): boolean {
  return !haveSameFirstColumn(here, next);
}

/**
 * Moves a run to the entries that a fault may be for: of those where it is already, else those next to them,
 * else anew. Gives back the entry that it left, where it went on.
 */
function moveOn(
  run: Run,
  missing: readonly (number | undefined)[],
  pgno: number,
): number | undefined {
  const isMeant = (index: number): boolean => missing[index] === pgno;
  const still = run.at.filter(isMeant);
  if (still.length > 0) {
    run.at = still;
    return undefined;
  }
  const directions: readonly Direction[] = run.direction === 0 ? [1, -1] : [run.direction];
  for (const direction of directions) {
    const steps = nextMissing(run.at, missing, direction).filter(({ to }) => isMeant(to));
    if (steps.length === 0) continue;
    run.at = steps.map(({ to }) => to);
    run.direction = direction;
    run.windows++;
    return steps[0].from;
  }
  const all = [...missing.keys()].filter(isMeant);
  Object.assign(run, NOT_BEGUN, { at: all });
  return undefined;
}

/** For each of some entries the next one whose row is not at hand. */
function nextMissing(
  at: readonly number[],
  missing: readonly (number | undefined)[],
  direction: Direction,
): { from: number; to: number }[] {
  const starts = new Set(at);
  const steps: { from: number; to: number }[] = [];
  const [first, end] = direction === 1 ? [-1, missing.length] : [missing.length, -1];
  let from: number | undefined;
  for (let index = first; index !== end; index += direction) {
    if (from !== undefined && missing[index] !== 0) {
      steps.push({ from, to: index });
      from = undefined;
    }
    if (starts.has(index)) from = index;
  }
  return steps;
}
