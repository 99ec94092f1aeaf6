import { ReplicaError, isReplicaError } from "../errors.ts";
import { STORE_REQUESTS_MAX } from "../limits.ts";
import { readPageIndex } from "../ltx/page-index.ts";
import type { Txid } from "../ltx/txid.ts";
import { inParallel } from "./in-parallel.ts";
import { loadPlan, type LoadPlanOptions } from "./load-plan.ts";
import { fileIdentity, openLtxFile, type LtxFile } from "./ltx-file.ts";
import type { Replica } from "./ltx-key.ts";
import type { PageCache } from "./page-cache.ts";
import { PageMap } from "./page-map.ts";
import type { RestorePlan, RestoreTarget } from "./restore-plan.ts";

/** One database at one TXID: what is needed to read any of its pages. */
export interface Snapshot {
  readonly replica: Replica;
  readonly plan: RestorePlan;
  readonly txid: Txid;
  /** Stamp of the newest file's header, in milliseconds since the Unix epoch. */
  readonly timestampMs: number;
  /** In bytes. */
  readonly pageSize: number;
  /** Size of the database, in pages. */
  readonly commit: number;
  readonly pages: PageMap;
}

/** Opened files by identity, kept by a caller that opens one TXID after the other. */
export interface OpenFileCache {
  get(identity: string): LtxFile | undefined;
  set(identity: string, file: LtxFile): unknown;
}

export interface OpenPlanOptions {
  /** Takes the pages that come along with the files' beginnings. */
  readonly cache?: PageCache | undefined;
  readonly files?: OpenFileCache | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Plans and opens: from a target to a database that can be read. Plans once more when a file has
 * been deleted between the listing and the read.
 *
 * @throws {ReplicaError} What `loadPlan` and `openPlan` throw.
 */
export async function openSnapshot(
  replica: Replica,
  target: RestoreTarget,
  options: OpenPlanOptions & LoadPlanOptions = {},
): Promise<Snapshot> {
  try {
    return await openPlan(replica, await loadPlan(replica, target, options), options);
  } catch (error) {
    if (!isReplicaError(error, "OBJECT_MISSING")) throw error;
    return await openPlan(replica, await loadPlan(replica, target, options), options);
  }
}

/**
 * Opens every file of a plan, a few at a time, and keeps for each page where its newest version lies.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` for a damaged file, `OBJECT_MISSING` for one that is gone.
 */
export async function openPlan(
  replica: Replica,
  plan: RestorePlan,
  { cache, files, signal }: OpenPlanOptions = {},
): Promise<Snapshot> {
  // Two requests for each large file: half as many files at a time.
  const opened = await inParallel(plan.files, STORE_REQUESTS_MAX / 2, async (info) => {
    const known = files?.get(fileIdentity(info));
    if (known) return known;
    const file = await openLtxFile(replica, info, { cache, signal });
    files?.set(fileIdentity(info), file);
    return file;
  });
  const newest = opened.at(-1);
  if (!newest) throw new Error("a restore plan holds at least one file");
  const { pageSize, commit, timestampMs } = newest.header;
  const pages = new PageMap(commit);
  for (const [file, { info, header, index }] of opened.entries()) {
    if (header.pageSize !== pageSize) {
      throw new ReplicaError(
        "CORRUPT_PAGE",
        `"${info.key}" has pages of ${header.pageSize} bytes, the newest file of ${pageSize}: two histories share this path`,
      );
    }
    readPageIndex(index, (pgno, offset, size) => pages.set(pgno, { file, offset, size }));
  }
  return { replica, plan, txid: plan.txid, timestampMs, pageSize, commit, pages };
}
