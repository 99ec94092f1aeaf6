import type { LtxFile } from "../../shared/replica/ltx-file.ts";
import type { Snapshot } from "../../shared/replica/snapshot.ts";
import type { Head } from "./follow-head.ts";

/** What an entry costs beside its bytes, and beside a file of its plan, about. */
const ENTRY_BYTES = 1_000;
const PLAN_FILE_BYTES = 300;

/** What a library takes, or may take, of the isolate's memory, in bytes. */
export interface LibraryMemory {
  readonly pages: number;
  /** Newest states, with the edge bundles that they begin with. */
  readonly heads: number;
  /** Where the pages of opened snapshots lie; the one in use is always kept. */
  readonly snapshots: number;
  /** Page indexes of opened LTX files: a new TXID then opens only the file that is new. */
  readonly indexes: number;
  /** Parts of longer page indexes. */
  readonly windows: number;
  /** Where pages lie, by edge bundles. */
  readonly locations: number;
}

export function weighHead({ plan, bundle }: Head): number {
  // The pages that it carries are views of the head's own bytes, and the locator counts them too.
  const bundleBytes = bundle ? Math.max(bundle.sizeBytes, bundle.locator.sizeBytes) : 0;
  return plan.files.length * PLAN_FILE_BYTES + bundleBytes + ENTRY_BYTES;
}

export function weighSnapshot({ plan, pages }: Snapshot): number {
  return plan.files.length * PLAN_FILE_BYTES + pages.sizeBytes + ENTRY_BYTES;
}

export function weighFile({ index, checksums }: LtxFile): number {
  return (index?.length ?? 0) + (checksums?.byteLength ?? 0) + ENTRY_BYTES;
}
