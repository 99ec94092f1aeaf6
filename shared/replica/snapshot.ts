import { assert } from "../assert.ts";
import { ReplicaError, isReplicaError } from "../errors.ts";
import { STORE_REQUESTS_MAX } from "../limits.ts";
import { readPageIndex } from "../ltx/page-index.ts";
import { formatTxid, type Txid } from "../ltx/txid.ts";
import { inParallel } from "./in-parallel.ts";
import { limitRequests } from "./limit-requests.ts";
import { loadPlan, type LoadPlanOptions } from "./load-plan.ts";
import { fileIdentity, openLtxFile, type LtxFile } from "./ltx-file.ts";
import type { LtxFileInfo } from "./list-ltx-files.ts";
import type { Replica } from "./ltx-key.ts";
import type { PageCache } from "./page-cache.ts";
import type { PageLocator } from "./page-locator.ts";
import { PageMap, PLAN_FILES_MAX } from "./page-map.ts";
import type { RestorePlan, RestoreTarget } from "./restore-plan.ts";

/** A page number, an offset and a size, a varint each. */
const INDEX_ENTRY_BYTES_MIN = 3;

/** One database at one TXID: what is needed to read any of its pages. */
export interface Snapshot {
  readonly replica: Replica;
  readonly plan: RestorePlan;
  /** What the locations of its pages count in: the plan's files, or more where an edge bundle knows them. */
  readonly files: readonly LtxFileInfo[];
  readonly txid: Txid;
  /** Stamp of the newest file's header, in milliseconds since the Unix epoch. */
  readonly timestampMs: number;
  /** In bytes. */
  readonly pageSize: number;
  /** Size of the database, in pages. */
  readonly commit: number;
  readonly pages: PageLocator;
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
  /** See `OpenLtxFileOptions`. */
  readonly wholeBytesMax?: number | undefined;
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
 * Plans and opens a snapshot's TXID again, when some of its files have gone: what they held is in
 * others.
 *
 * @throws {ReplicaError} `VERSION_EXPIRED` when no files lead to the TXID any more, `OBJECT_MISSING`
 *   when those that do are another history: whoever wipes a path and begins anew repeats the TXIDs,
 *   and pages of both must not meet in one answer.
 */
export async function reopenSnapshot(
  { replica, files, txid, timestampMs, pageSize, commit }: Snapshot,
  options: OpenPlanOptions & LoadPlanOptions = {},
): Promise<Snapshot> {
  const opened = await openSnapshot(replica, { kind: "txid", txid }, options);
  const known = new Set(files.map(fileIdentity));
  const isSameHistory =
    opened.timestampMs === timestampMs ||
    opened.files.some((file) => known.has(fileIdentity(file)));
  if (isSameHistory && opened.pageSize === pageSize && opened.commit === commit) return opened;
  throw new ReplicaError(
    "OBJECT_MISSING",
    `the files that led to TXID ${formatTxid(txid)} were replaced by others while they were being read: ask again`,
  );
}

/**
 * Opens every file of a plan, a few at a time, and keeps for each page where its newest version lies.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` for a damaged file, `OBJECT_MISSING` for one that is gone,
 *   `OVERLOADED` for a plan of more files than a page map can tell apart.
 */
export async function openPlan(
  replica: Replica,
  plan: RestorePlan,
  { cache, files, wholeBytesMax, signal }: OpenPlanOptions = {},
): Promise<Snapshot> {
  if (plan.files.length > PLAN_FILES_MAX) {
    throw new ReplicaError(
      "OVERLOADED",
      `TXID ${formatTxid(plan.txid)} takes ${plan.files.length} LTX files, more than the ${PLAN_FILES_MAX} that can be opened: compact the replica, or use \`eddy restore\``,
    );
  }
  const store = limitRequests(replica.store, STORE_REQUESTS_MAX);
  const opened = await inParallel(plan.files, STORE_REQUESTS_MAX, async (info) => {
    const known = files?.get(fileIdentity(info));
    if (known) return known;
    const file = await openLtxFile({ ...replica, store }, info, { cache, wholeBytesMax, signal });
    files?.set(fileIdentity(info), file);
    return file;
  });
  const newest = opened.at(-1);
  assert(newest, "a restore plan holds at least one file");
  const { pageSize, commit, timestampMs } = newest.header;
  const pages = mapPages(opened, newest);
  const { files: planned, txid } = plan;
  return { replica, plan, files: planned, txid, timestampMs, pageSize, commit, pages };
}

function mapPages(files: readonly LtxFile[], newest: LtxFile): PageMap {
  const { pageSize, commit } = newest.header;
  // No checksum covers a header that is read by itself, and a page map of 4 billion pages is 48 GB.
  const indexBytes = files.reduce((sum, { index }) => sum + index.length, 0);
  if (commit > indexBytes / INDEX_ENTRY_BYTES_MIN + 1) {
    const sentence = `"${newest.info.key}" is damaged: it claims a database of ${commit} pages, more than all files of its plan hold`;
    throw new ReplicaError("CORRUPT_PAGE", sentence);
  }
  const pages = new PageMap(commit);
  for (const [file, { info, header, index, checksums }] of files.entries()) {
    if (header.pageSize !== pageSize) {
      throw new ReplicaError(
        "CORRUPT_PAGE",
        `"${info.key}" has pages of ${header.pageSize} bytes, the newest file of ${pageSize}: two histories share this path`,
      );
    }
    let entry = 0;
    readPageIndex(index, (pgno, offset, size) =>
      pages.set(pgno, { file, offset, size, checksum: checksums?.[entry++] }),
    );
  }
  return pages;
}
