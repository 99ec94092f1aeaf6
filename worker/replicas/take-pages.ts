import type { BundleHead } from "../../shared/replica/edge-bundle/read-bundle-head.ts";
import { fileIdentity } from "../../shared/replica/ltx-file.ts";
import type { PageCache } from "../../shared/replica/page-cache.ts";

/** The schema, and roots of tables. To decode all that a bundle carries takes longer than a read. */
const FIRST_PAGES = 8;

/**
 * Takes the pages that every query begins with out of a bundle. As faults, side by side in the file as
 * they are, they would look like the beginning of a scan.
 */
export function takeFirstPages(pages: PageCache, bundle: BundleHead): void {
  take(pages, bundle, FIRST_PAGES);
}

/** Takes all pages that a bundle carries, under what it calls the objects that they lie in. */
export function takePages(pages: PageCache, bundle: BundleHead): void {
  take(pages, bundle, Infinity);
}

/** Whoever reads them holds them against their checksums. */
function take(pages: PageCache, { plan, locator }: BundleHead, count: number): void {
  let taken = 0;
  for (const { page, location } of locator.hotPages()) {
    pages.set(fileIdentity(plan.files[location.file]), location.offset, page);
    if (++taken >= count) return;
  }
}
