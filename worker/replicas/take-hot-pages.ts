import type { BundleHead } from "../../shared/replica/edge-bundle/read-bundle-head.ts";
import { fileIdentity } from "../../shared/replica/ltx-file.ts";
import type { PageCache } from "../../shared/replica/page-cache.ts";

/**
 * Takes the pages that a bundle carries into a cache, under what it calls the objects that they lie in: of
 * a copy, once more under what the bucket calls them. Whoever reads them holds them against their checksums.
 */
export function takeHotPages(cache: PageCache, bundle: BundleHead | undefined): void {
  if (!bundle) return;
  const { plan, locator } = bundle;
  for (const { page, location } of locator.hotPages()) {
    cache.set(fileIdentity(plan.files[location.file]), location.offset, page);
  }
}
