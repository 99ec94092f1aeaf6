import { STORE_REQUESTS_MAX } from "../limits.ts";
import { inParallel } from "./in-parallel.ts";
import type { FoundPage, LocatorRead, PageLocator } from "./page-locator.ts";

/**
 * A look-up shows the places of the pages around it too, whatever is read for it: a part of a page index
 * has some 3,000 entries, one of an edge bundle's map 1,024. So pages this near are looked up one after
 * the other. In pages.
 */
const NEAR_PAGES = 1_024;

/**
 * Where each of some pages lies: those that are not known are looked up with as few reads as their
 * numbers allow, side by side where they lie apart.
 *
 * @param pgnos Ascending.
 * @throws {ReplicaError} What `PageLocator.find` throws.
 */
export async function locatePages(
  locator: PageLocator,
  pgnos: readonly number[],
  read: LocatorRead,
): Promise<Map<number, FoundPage>> {
  const found = new Map<number, FoundPage>();
  let unknown = pgnos;
  let isNearKnown = true;
  // Bounded by the pages: every pass looks at least one of them up.
  for (;;) {
    unknown = unknown.filter((pgno) => {
      const location = locator.get(pgno);
      if (location !== undefined && !found.has(pgno)) found.set(pgno, { location });
      return !found.has(pgno);
    });
    if (unknown.length === 0) return found;
    const sought = isNearKnown ? apart(unknown) : unknown;
    await inParallel(sought, STORE_REQUESTS_MAX, async (pgno) =>
      found.set(pgno, await locator.find(pgno, read)),
    );
    // Interior pages of a bundle are looked up one by one, however near they are: not one after the other.
    isNearKnown = unknown.some((pgno) => !found.has(pgno) && locator.get(pgno) !== undefined);
  }
}

/** Of ascending page numbers the first, and each that is not near the one before it that was taken. */
export function apart(pgnos: readonly number[]): number[] {
  const taken: number[] = [];
  for (const pgno of pgnos) {
    if (taken.length === 0 || pgno >= taken[taken.length - 1] + NEAR_PAGES) taken.push(pgno);
  }
  return taken;
}
