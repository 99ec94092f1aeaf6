import { ReplicaError, isReplicaError } from "../errors.ts";
import { apart, locatePages } from "./locate-pages.ts";
import type { OpenedPages } from "./opened-pages.ts";
import type { CachedPage } from "./page-cache.ts";
import type { FoundPage, LocatorRead } from "./page-locator.ts";
import { planPageRanges, type PageRange } from "./page-ranges.ts";

/** What one ranged read takes at most, in bytes; more where that saves a round of reads. */
const RANGE_BYTES_MAX = 1024 * 1024;
const LONG_RANGE_BYTES_MAX = 2 * RANGE_BYTES_MAX;
/** Frames so close to one another are read together: asking twice costs more. In bytes. */
const GAP_BYTES_MAX = 4 * 1024;
/** Pages that a look-up must serve on average where it is made for pages that only come along. */
const PAGES_A_LOOK_UP_MIN = 2;

/** The pages of one window. */
export interface WantedPages {
  /** The one that was asked for, whose error is told. Undefined where nobody has asked for one yet. */
  readonly asked: number | undefined;
  /**
   * Those that come along, as far as that is easy, what is needed soonest first: what is wrong with them shows
   * when they are asked for.
   */
  readonly others: readonly number[];
}

export interface PlanPagesOptions extends LocatorRead {
  /** Reads in flight at a time. */
  readonly requestsMax: number;
  /** Told of each page that is in the cache after all, or lay beside its place, and is in the cache now. */
  readonly onPage: (pgno: number, page: CachedPage) => void;
}

/**
 * Finds out where pages lie, takes what came along with that, and plans as few ranged reads for the rest as the places
 * allow, in the order in which they are needed.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` when no file holds the page that was asked for, or it lay beside its place and
 *   does not match its checksum; `OBJECT_MISSING`, `ABORTED`, `R2_ERROR`.
 */
export async function planPages(
  opened: OpenedPages,
  wanted: WantedPages,
  options: PlanPagesOptions,
): Promise<PageRange[]> {
  const { commit, pageSize } = opened.snapshot;
  const { asked } = wanted;
  const found = await locateWanted(opened, wanted, options);
  if (asked !== undefined && !found.get(asked)?.location) {
    const sentence = `page ${asked} of ${commit} is in none of the LTX files of its plan`;
    throw new ReplicaError("CORRUPT_PAGE", sentence);
  }
  const missing = allOf(wanted).filter((pgno) => {
    const there = takeFound(opened, pgno, found.get(pgno), pgno === asked);
    if (there) options.onPage(pgno, there);
    return !there;
  });
  const places = { get: (pgno: number) => found.get(pgno)?.location };
  const plan = (lengthMax: number) =>
    planPageRanges(places, missing, { lengthMax, gapMax: GAP_BYTES_MAX, pageSize });
  const ranges = plan(RANGE_BYTES_MAX);
  const longer = ranges.length > options.requestsMax ? plan(LONG_RANGE_BYTES_MAX) : ranges;
  const rounds = (reads: readonly PageRange[]) => Math.ceil(reads.length / options.requestsMax);
  return inOrderOfNeed(rounds(longer) < rounds(ranges) ? longer : ranges, missing);
}

/** All pages of a window, what is needed soonest first. */
export function allOf({ asked, others }: WantedPages): readonly number[] {
  return asked === undefined ? others : [asked, ...others];
}

/** The reads, those first that have what is needed first. */
function inOrderOfNeed(ranges: readonly PageRange[], pgnos: readonly number[]): PageRange[] {
  const turns = new Map(pgnos.map((pgno, turn) => [pgno, turn]));
  const turnOf = ({ frames }: PageRange) =>
    frames.reduce((least, { pgno }) => Math.min(least, turns.get(pgno) ?? Infinity), Infinity);
  return ranges
    .map((range) => ({ range, turn: turnOf(range) }))
    .toSorted((a, b) => a.turn - b.turn)
    .map(({ range }) => range);
}

/** Where the pages lie. Those that only come along are not looked for where few would be found. */
async function locateWanted(
  { snapshot: { pages } }: OpenedPages,
  wanted: WantedPages,
  read: LocatorRead,
): Promise<Map<number, FoundPage>> {
  const found = new Map<number, FoundPage>();
  const unknown: number[] = [];
  for (const pgno of allOf(wanted)) {
    const location = pages.get(pgno);
    if (location === undefined) unknown.push(pgno);
    else found.set(pgno, { location });
  }
  if (unknown.length === 0) return found;
  unknown.sort((a, b) => a - b);
  const isWorthIt = unknown.length >= PAGES_A_LOOK_UP_MIN * apart(unknown).length;
  const sought = isWorthIt ? unknown : unknown.filter((pgno) => pgno === wanted.asked);
  for (const [pgno, page] of await locatePages(pages, sought, read)) found.set(pgno, page);
  // The look-up of one page may have shown where others lie.
  for (const pgno of unknown) {
    const location = found.has(pgno) ? undefined : pages.get(pgno);
    if (location !== undefined) found.set(pgno, { location });
  }
  return found;
}

/** A page that is in the cache after all, or lay beside its place; undefined when it has to be read. */
function takeFound(
  opened: OpenedPages,
  pgno: number,
  found: FoundPage | undefined,
  isAsked: boolean,
): CachedPage | undefined {
  if (!found?.location) return undefined;
  const place = { pgno, ...found.location };
  const cached = opened.at(place);
  if (cached || !found.page) return cached;
  try {
    return opened.take(place, found.page);
  } catch (error) {
    if (isAsked || !isReplicaError(error, "CORRUPT_PAGE")) throw error;
    return undefined;
  }
}
