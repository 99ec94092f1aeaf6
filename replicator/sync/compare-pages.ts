import { setImmediate } from "node:timers/promises";
import type { LtxSource } from "./ltx-from-wal.ts";
import type { RememberedPages } from "./page-memory.ts";
import { PgnoSet } from "./pgno-set.ts";

/** Compared at a stretch, in bytes; then whatever else is ready has its turn. */
const STRETCH_BYTES = 1024 * 1024;

/**
 * Reads a full image and holds every page against what was shipped.
 *
 * @returns The numbers of the pages that differ, and of those that the database grew by.
 */
export async function differingPages(
  { header, pages }: LtxSource,
  remembered: RememberedPages,
): Promise<PgnoSet> {
  const differing = new PgnoSet(header.commit);
  let bytes = 0;
  for (const page of pages) {
    if (!remembered.isSame(page)) differing.add(page.pgno);
    bytes += header.pageSize;
    if (bytes < STRETCH_BYTES) continue;
    bytes = 0;
    await setImmediate();
  }
  return differing;
}
