import { ReplicaError, isReplicaError } from "../errors.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { inParallel } from "./in-parallel.ts";
import { apart, locatePages } from "./locate-pages.ts";
import type { OpenedPages } from "./opened-pages.ts";
import type { CachedPage } from "./page-cache.ts";
import type { FoundPage } from "./page-locator.ts";
import { planPageRanges, type PageRange } from "./page-ranges.ts";
import { readPages } from "./read-pages.ts";

/** What one ranged read takes at most, in bytes; more where that saves a round of reads. */
const RANGE_BYTES_MAX = 1024 * 1024;
const LONG_RANGE_BYTES_MAX = 2 * RANGE_BYTES_MAX;
/** Frames so close to one another are read together: asking twice costs more. In bytes. */
const GAP_BYTES_MAX = 4 * 1024;
/** Pages that a look-up must serve on average where it is made for pages that only come along. */
const PAGES_A_LOOK_UP_MIN = 2;

/** The pages of one fault. */
export interface WantedPages {
  /** The one that was asked for: what is wrong with it is an error. */
  readonly asked: number;
  /** Those that come along, as far as that is easy: what is wrong with them shows when they are asked for. */
  readonly others: readonly number[];
}

export interface FetchPagesOptions {
  readonly store: ObjectStore;
  /** Reads in flight at a time. */
  readonly requestsMax: number;
  /** Told of each page, which is in the cache then. */
  readonly onPage: (pgno: number, page: CachedPage) => void;
  /** Told how many bytes were read between frames. */
  readonly onGap: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Brings pages into the cache: finds out where they lie, takes what came along with that, and reads the
 * rest with as few ranged reads as the places allow.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` when no file holds the page that was asked for, its frame is
 *   damaged or it does not match its checksum; `OBJECT_MISSING`, `ABORTED`, `R2_ERROR`.
 */
export async function fetchPages(
  opened: OpenedPages,
  wanted: WantedPages,
  options: FetchPagesOptions,
): Promise<void> {
  const { store, requestsMax, onPage, onGap, signal } = options;
  const { asked } = wanted;
  const replica = { ...opened.snapshot.replica, store };
  const snapshot = { ...opened.snapshot, replica };
  const found = await locateWanted(opened, wanted, { replica, signal });
  if (!found.get(asked)?.location) {
    const sentence = `page ${asked} of ${snapshot.commit} is in none of the LTX files of its plan`;
    throw new ReplicaError("CORRUPT_PAGE", sentence);
  }
  const missing = [asked, ...wanted.others].filter((pgno) => {
    const there = takeFound(opened, pgno, found.get(pgno), pgno === asked);
    if (there) onPage(pgno, there);
    return !there;
  });
  const places = { get: (pgno: number) => found.get(pgno)?.location };
  const isAsked = (pgno: number) => pgno === asked;
  const plan = (lengthMax: number) =>
    planPageRanges(places, missing, {
      lengthMax,
      gapMax: GAP_BYTES_MAX,
      pageSize: snapshot.pageSize,
    });
  const ranges = plan(RANGE_BYTES_MAX);
  const longer = ranges.length > requestsMax ? plan(LONG_RANGE_BYTES_MAX) : ranges;
  const rounds = (reads: readonly PageRange[]) => Math.ceil(reads.length / requestsMax);
  const chosen = rounds(longer) < rounds(ranges) ? longer : ranges;
  await inParallel(chosen, requestsMax, async (range) => {
    const read = await readPages(snapshot, range, { isAsked, signal });
    onGap(range.frames.reduce((gap, { size }) => gap - size, range.length));
    for (const { pgno, offset, page, isVerified } of read.pages) {
      onPage(pgno, opened.keep({ file: range.file, offset }, page, isVerified));
    }
  });
}

/** Where the pages lie. Those that only come along are not looked for where few would be found. */
async function locateWanted(
  { snapshot: { pages } }: OpenedPages,
  { asked, others }: WantedPages,
  read: Parameters<typeof locatePages>[2],
): Promise<Map<number, FoundPage>> {
  const found = new Map<number, FoundPage>();
  const unknown: number[] = [];
  for (const pgno of [asked, ...others]) {
    const location = pages.get(pgno);
    if (location === undefined) unknown.push(pgno);
    else found.set(pgno, { location });
  }
  if (unknown.length === 0) return found;
  unknown.sort((a, b) => a - b);
  const isWorthIt = unknown.length >= PAGES_A_LOOK_UP_MIN * apart(unknown).length;
  const sought = isWorthIt ? unknown : unknown.filter((pgno) => pgno === asked);
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
