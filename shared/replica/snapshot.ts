import { assert } from "../assert.ts";
import { ReplicaError, isReplicaError } from "../errors.ts";
import { STORE_REQUESTS_MAX } from "../limits.ts";
import { formatTxid, type Txid } from "../ltx/txid.ts";
import { inParallel } from "./in-parallel.ts";
import { limitRequests } from "./limit-requests.ts";
import { IndexWindows } from "./index-windows.ts";
import { loadPlan, type LoadPlanOptions } from "./load-plan.ts";
import { locateFiles } from "./locate-files.ts";
import { fileIdentity, openLtxFile, WHOLE_BYTES_MAX, type LtxFile } from "./ltx-file.ts";
import type { LtxFileInfo } from "./list-ltx-files.ts";
import type { Replica } from "./ltx-key.ts";
import type { PageCache } from "./page-cache.ts";
import type { PageLocator } from "./page-locator.ts";
import { PLAN_FILES_MAX } from "./page-map.ts";
import type { RestorePlan, RestoreTarget } from "./restore-plan.ts";

/** For a snapshot that is opened by itself, in bytes. */
const WINDOW_BYTES_DEFAULT = 2_000_000;

/** A page number, an offset and a size, a varint each. */
const INDEX_ENTRY_BYTES_MIN = 3;

function defaultWindows(): IndexWindows {
  return new IndexWindows({ bytesMax: WINDOW_BYTES_DEFAULT });
}

/** One database at one TXID: what is needed to read any of its pages. */
export interface Snapshot {
  readonly replica: Replica;
  readonly plan: RestorePlan;
  /** What the locations of its pages count in: the plan's files, or more where an edge bundle knows them. */
  readonly files: readonly LtxFileInfo[];
  /**
   * So many of the first files may hold versions of pages that are not the newest: nobody has verified the
   * page index of the file behind them, or its header, which says how large the database is. 0 when
   * everything was verified.
   */
  readonly doubtfulFiles: number;
  readonly txid: Txid;
  /** Stamp of the newest file's header, in milliseconds since the Unix epoch. */
  readonly timestampMs: number;
  /** In bytes. */
  readonly pageSize: number;
  /** Size of the database, in pages. */
  readonly commit: number;
  readonly pages: PageLocator;
}

/**
 * Says whether every page of a snapshot is held against its checksum before it is given out: its files were
 * read whole, or an edge bundle knows what is in them.
 */
export function isVerifiable({ doubtfulFiles }: Pick<Snapshot, "doubtfulFiles">): boolean {
  return doubtfulFiles === 0;
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
  /** Keeps parts of long page indexes, where a caller opens more than once; a small one of its own otherwise. */
  readonly windows?: IndexWindows | undefined;
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
  snapshot: Snapshot,
  options: OpenPlanOptions & LoadPlanOptions = {},
): Promise<Snapshot> {
  const { replica, txid } = snapshot;
  return asSameHistory(snapshot, await openSnapshot(replica, { kind: "txid", txid }, options));
}

/**
 * What a snapshot's TXID was opened as once more.
 *
 * @throws {ReplicaError} `OBJECT_MISSING` when that is another history.
 */
export function asSameHistory(
  { files, txid, timestampMs, pageSize, commit }: Snapshot,
  opened: Snapshot,
): Snapshot {
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
 * Opens every file of a plan, a few at a time, and knows of each page where its newest version lies, or
 * where to look for that.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` for a damaged file, `OBJECT_MISSING` for one that is gone,
 *   `OVERLOADED` for a plan of more files than a page map can tell apart.
 */
export async function openPlan(
  replica: Replica,
  plan: RestorePlan,
  { windows = defaultWindows(), ...rest }: OpenPlanOptions = {},
): Promise<Snapshot> {
  refuseTooMany(plan.files.length, plan.txid);
  const options = { windows, ...rest };
  const opened = await openFiles(replica, plan.files, options);
  const newest = opened.at(-1);
  assert(newest, "a restore plan holds at least one file");
  checkFiles(opened, newest, 0);
  const { pageSize, commit, timestampMs } = newest.header;
  const pages = locateFiles(opened, { commit, windows });
  const { files, txid } = plan;
  const doubtfulFiles = countDoubtful(opened);
  return { replica, plan, files, doubtfulFiles, txid, timestampMs, pageSize, commit, pages };
}

/**
 * A snapshot with files that are newer, and follow it without a gap: what they hold is read from them,
 * everything else as before. Files up to 4 MiB are read whole and verified.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` for a damaged file, `OBJECT_MISSING` for one that is gone,
 *   `OVERLOADED` when there are more files than a page map can tell apart.
 */
export async function extendSnapshot(
  base: Snapshot,
  newer: readonly LtxFileInfo[],
  { windows = defaultWindows(), ...options }: OpenPlanOptions = {},
): Promise<Snapshot> {
  const last = newer.at(-1);
  if (!last) return base;
  const files = [...base.files, ...newer];
  refuseTooMany(files.length, last.maxTxid);
  const { replica } = base;
  const whole = { wholeBytesMax: WHOLE_BYTES_MAX, windows, ...options };
  const opened = await openFiles(replica, newer, whole);
  const newest = opened[opened.length - 1];
  checkFiles(opened, newest, base.commit);
  const { pageSize, commit, timestampMs } = newest.header;
  if (pageSize !== base.pageSize) refusePageSize(newest, base.pageSize);
  const firstFile = base.files.length;
  const pages = locateFiles(opened, { commit, windows, firstFile, older: base.pages });
  const txid = last.maxTxid;
  const plan = { ...base.plan, files: [...base.plan.files, ...newer], txid };
  const doubtful = countDoubtful(opened);
  const doubtfulFiles = doubtful > 0 ? firstFile + doubtful : base.doubtfulFiles;
  return { replica, plan, files, doubtfulFiles, txid, timestampMs, pageSize, commit, pages };
}

/** The files up to the newest that was not read whole. */
function countDoubtful(opened: readonly LtxFile[]): number {
  return opened.findLastIndex(({ checksums }) => !checksums) + 1;
}

function openFiles(
  replica: Replica,
  infos: readonly LtxFileInfo[],
  { files, ...options }: OpenPlanOptions,
): Promise<LtxFile[]> {
  const store = limitRequests(replica.store, STORE_REQUESTS_MAX);
  const { wholeBytesMax = 0 } = options;
  return inParallel(infos, STORE_REQUESTS_MAX, async (info) => {
    const known = files?.get(fileIdentity(info));
    // One that was opened by its index, when nobody asked for more, cannot verify its pages.
    const isMore = known?.checksums === undefined && info.sizeBytes <= wholeBytesMax;
    if (known && !isMore) return known;
    const file = await openLtxFile({ ...replica, store }, info, options);
    files?.set(fileIdentity(info), file);
    return file;
  });
}

/** @param olderPages Pages that the files before these hold, at most. */
function checkFiles(files: readonly LtxFile[], newest: LtxFile, olderPages: number): void {
  const { pageSize, commit } = newest.header;
  // No checksum covers a header that is read by itself, and a page map of 4 billion pages is 48 GB.
  const indexBytes = files.reduce((sum, { bounds }) => sum + bounds.length, 0);
  if (commit > olderPages + indexBytes / INDEX_ENTRY_BYTES_MIN + 1) {
    const sentence = `"${newest.info.key}" is damaged: it claims a database of ${commit} pages, more than all files of its plan hold`;
    throw new ReplicaError("CORRUPT_PAGE", sentence);
  }
  for (const file of files) if (file.header.pageSize !== pageSize) refusePageSize(file, pageSize);
}

function refusePageSize({ info, header }: LtxFile, pageSize: number): never {
  throw new ReplicaError(
    "CORRUPT_PAGE",
    `"${info.key}" has pages of ${header.pageSize} bytes, the newest file of ${pageSize}: two histories share this path`,
  );
}

function refuseTooMany(files: number, txid: Txid): void {
  if (files <= PLAN_FILES_MAX) return;
  throw new ReplicaError(
    "OVERLOADED",
    `TXID ${formatTxid(txid)} takes ${files} LTX files, more than the ${PLAN_FILES_MAX} that can be opened: compact the replica, or use \`eddy restore\``,
  );
}
