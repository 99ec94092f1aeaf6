/** What a trace of pages costs with one way to prefetch or another: a page reader without its waiting. */
import { encodePageFrame, pageFrameBytesMax } from "../../shared/ltx/page-frame.ts";
import type { PageLocation } from "../../shared/replica/page-locator.ts";
import { SparsePageMap } from "../../shared/replica/sparse-page-map.ts";
import { planPageRanges } from "../../shared/replica/page-ranges.ts";
import { PrefetchOracle } from "../../shared/replica/prefetch/oracle.ts";
import { asTreePage } from "../../shared/replica/prefetch/tree-page.ts";
import type { TracedDatabase } from "./page-trace.ts";

export interface SimulationCost {
  /** Times that the query waits. */
  readonly faults: number;
  /** Windows that begin before anybody waits for one of their pages. */
  readonly ahead: number;
  /** Most bytes of frames that had been fetched and not been used, when a window began ahead. */
  readonly aheadBytesMax: number;
  /** Ranged reads, as a page reader plans them over one snapshot. */
  readonly requests: number;
  /** Round trips, with six reads at a time, where each fault waits for all that it fetches. */
  readonly rounds: number;
  /** Bytes that were read, those between two frames included. */
  readonly fetchedBytes: number;
  /** Bytes of frames that the query asked for. */
  readonly usedBytes: number;
}

/** Decides what to fetch, as the oracle does. */
interface Prefetcher {
  expectScans?(rootPgnos: readonly number[]): void;
  onUse(pgno: number, page: Uint8Array): boolean;
  onPage(pgno: number): void;
  onLeftOut(pgno: number): void;
  onGap(bytes: number): void;
  onFault(pgno: number): number[];
  /** Pages to fetch although nobody has asked for them yet; asked until there are none. */
  goOn(): readonly number[];
}

export interface SimulationOptions {
  readonly database: Pick<TracedDatabase, "page" | "pageCount" | "pageSize">;
  readonly trace: readonly number[];
  /** Pages that are at hand before the query runs. */
  readonly resident?: Iterable<number>;
  /** Roots of the trees that the query is expected to read as a whole. */
  readonly expected?: readonly number[];
  /** Largest window of a scan, in bytes: a mebibyte where it is not given, as the oracle has it. */
  readonly windowBytesMax?: number;
  /** The same in pages. */
  readonly windowPagesMax?: number;
  /** Sizes of frames are known only of pages that were fetched. */
  readonly sizesUnknown?: boolean;
  /** Pages that do not come along with another, as where their place would have to be looked for. */
  readonly isLeftOut?: (pgno: number) => boolean;
  /** Pages behind the one that is used that are still at hand; all of them where it is not given. */
  readonly forgets?: number;
  /** Windows begin before anybody waits for one of their pages, as a page reader has it. */
  readonly isPipelined?: boolean;
  readonly prefetcher?: (atHand: ReadonlyMap<number, Uint8Array>) => Prefetcher;
}

const REQUESTS_AT_A_TIME = 6;

/** As a page reader plans its reads. */
const RANGES = { lengthMax: 1024 * 1024, gapMax: 4 * 1024 };

export function simulate(options: SimulationOptions): SimulationCost {
  const { database, trace, resident = [], sizesUnknown = false, isLeftOut = () => false } = options;
  const { expected, windowBytesMax, windowPagesMax, isPipelined = false } = options;
  const { pageSize, pageCount } = database;
  const places = placesOf(database);
  const atHand = new Map([...resident].map((pgno) => [pgno, database.page(pgno)]));
  const prefetcher =
    options.prefetcher?.(atHand) ??
    new PrefetchOracle({
      pageSize,
      pageCount,
      peek: (pgno) => atHand.get(pgno),
      isAtHand: (pgno) => atHand.has(pgno),
      frameBytes: (pgno) =>
        sizesUnknown && !atHand.has(pgno) ? undefined : places.get(pgno)?.size,
      ...(windowBytesMax === undefined ? {} : { windowBytesMax }),
      ...(windowPagesMax === undefined ? {} : { windowPagesMax }),
    });
  if (expected !== undefined) prefetcher.expectScans?.(expected);
  const cost = { faults: 0, ahead: 0, aheadBytesMax: 0, requests: 0, rounds: 0 };
  const bytes = { fetchedBytes: 0, usedBytes: 0, unusedBytes: 0 };
  const unused = new Set<number>();
  function fault([asked, ...others]: readonly number[]): void {
    cost.faults++;
    fetch([asked, ...withoutLeftOut(others)]);
    goOn();
  }
  function goOn(): void {
    if (!isPipelined) return;
    for (let ahead = prefetcher.goOn(); ahead.length > 0; ahead = prefetcher.goOn()) {
      cost.ahead++;
      fetch(withoutLeftOut(ahead));
      cost.aheadBytesMax = Math.max(cost.aheadBytesMax, bytes.unusedBytes);
    }
  }
  function withoutLeftOut(pgnos: readonly number[]): readonly number[] {
    for (const pgno of pgnos.filter(isLeftOut)) prefetcher.onLeftOut(pgno);
    return pgnos.filter((pgno) => !isLeftOut(pgno));
  }
  function fetch(pgnos: readonly number[]): void {
    const ranges = planPageRanges(places, pgnos, { ...RANGES, pageSize });
    cost.requests += ranges.length;
    cost.rounds += Math.ceil(ranges.length / REQUESTS_AT_A_TIME);
    for (const { length, frames } of ranges) {
      bytes.fetchedBytes += length;
      prefetcher.onGap(frames.reduce((gap, { size }) => gap - size, length));
      for (const { pgno } of frames) {
        atHand.set(pgno, database.page(pgno));
        unused.add(pgno);
        bytes.unusedBytes += places.get(pgno)?.size ?? 0;
        prefetcher.onPage(pgno);
      }
    }
  }
  for (const [index, pgno] of trace.entries()) {
    const old = trace[index - (options.forgets ?? Infinity)];
    if (old !== undefined && asTreePage(old, database.page(old))?.isInterior === false)
      atHand.delete(old);
    if (!atHand.has(pgno)) fault(prefetcher.onFault(pgno));
    if (unused.delete(pgno)) {
      bytes.usedBytes += places.get(pgno)?.size ?? 0;
      bytes.unusedBytes -= places.get(pgno)?.size ?? 0;
    }
    if (prefetcher.onUse(pgno, database.page(pgno))) goOn();
  }
  const { fetchedBytes, usedBytes } = bytes;
  return { ...cost, fetchedBytes, usedBytes };
}

const placesByDatabase = new WeakMap<object, SparsePageMap>();

/** Where each page would lie in a snapshot of the database. */
function placesOf(database: SimulationOptions["database"]): SparsePageMap {
  const known = placesByDatabase.get(database);
  if (known) return known;
  const { pageCount, pageSize } = database;
  const places = new Map<number, PageLocation>();
  const frame = new Uint8Array(pageFrameBytesMax(pageSize));
  let offset = 100;
  for (let pgno = 1; pgno <= pageCount; pgno++) {
    const size = encodePageFrame({ pgno, page: database.page(pgno) }, frame, "block");
    places.set(pgno, { file: 0, offset, size });
    offset += size;
  }
  const found = new SparsePageMap(places);
  placesByDatabase.set(database, found);
  return found;
}
