import { ReplicaError, isReplicaError } from "../errors.ts";
import { LEVEL_MAX, STORE_REQUESTS_MAX } from "../limits.ts";
import { nextTxid } from "../ltx/txid.ts";
import type { ObjectInfo } from "../storage/object-store.ts";
import { stampFiles, type StampCache } from "./file-stamps.ts";
import { inParallel } from "./in-parallel.ts";
import {
  listLtxFiles,
  listObjects,
  oldestStampAdder,
  toLtxFile,
  type LtxFileInfo,
} from "./list-ltx-files.ts";
import { formatReplicaPrefix, parseLtxKey, type Replica } from "./ltx-key.ts";
import {
  planRestore,
  restorableTxids,
  type RestorePlan,
  type RestoreTarget,
} from "./restore-plan.ts";

export interface LoadPlanOptions {
  readonly signal?: AbortSignal | undefined;
  /** Remembers stamps that had to be read from the files, where a caller plans more than once. */
  readonly stamps?: StampCache | undefined;
}

/**
 * Lists what `target` needs, and plans.
 *
 * A small replica takes one LIST. In a larger one the levels are listed side by side, and of level 0
 * only what the others do not reach. Lists once more when a file goes before its stamp is read.
 *
 * @throws {ReplicaError} `DB_NOT_FOUND` and `LEGACY_REPLICA` where there is no LTX file, and what
 *   `planRestore` and `stampFiles` throw.
 */
export async function loadPlan(
  replica: Replica,
  target: RestoreTarget,
  options: LoadPlanOptions = {},
): Promise<RestorePlan> {
  try {
    return await listAndPlan(replica, target, options);
  } catch (error) {
    if (!isReplicaError(error, "OBJECT_MISSING")) throw error;
    return await listAndPlan(replica, target, options);
  }
}

async function listAndPlan(
  replica: Replica,
  target: RestoreTarget,
  options: LoadPlanOptions,
): Promise<RestorePlan> {
  const listing = await listForTarget(replica, target, options);
  try {
    return planRestore(await stamp(replica, listing.files, target, options), target);
  } catch (error) {
    const isIncomplete =
      isReplicaError(error, "VERSION_EXPIRED") || isReplicaError(error, "REPLICA_GAP");
    if (listing.isWhole || !isIncomplete) throw error;
    // What was left out of level 0 may close the gap, or be the neighbour to name.
    const files = await listAllFiles(replica, options.signal, target.kind === "time");
    return planRestore(await stamp(replica, files, target, options), target);
  }
}

/** Every LTX file of a replica, all levels. */
export async function listAllFiles(
  replica: Replica,
  signal?: AbortSignal,
  withTimestamps = false,
): Promise<LtxFileInfo[]> {
  const levels = Array.from({ length: LEVEL_MAX + 1 }, (_, level) => level);
  const files = await inParallel(levels, STORE_REQUESTS_MAX, (level) =>
    Array.fromAsync(listLtxFiles(replica, { level, withTimestamps, signal })),
  );
  return files.flat();
}

interface Listing {
  readonly files: LtxFileInfo[];
  readonly isWhole: boolean;
}

async function listForTarget(
  replica: Replica,
  target: RestoreTarget,
  { signal }: LoadPlanOptions,
): Promise<Listing> {
  const withTimestamps = target.kind === "time";
  const prefix = formatReplicaPrefix(replica);
  const first = await replica.store.list({ prefix, withMetadata: withTimestamps, signal });
  const found = toFiles(replica, first.objects);
  if (first.cursor === undefined) {
    if (found.length === 0) refuseEmpty(replica, first.objects);
    return { files: found, isWhole: true };
  }
  if (found.length === 0) await refuseWithoutLtx(replica, signal);
  const levels = Array.from({ length: LEVEL_MAX }, (_, index) => LEVEL_MAX - index);
  const upper = await inParallel(levels, STORE_REQUESTS_MAX, (level) =>
    Array.fromAsync(listLtxFiles(replica, { level, withTimestamps, signal })),
  );
  const files = upper.flat();
  const seek = nextTxid(restorableTxids(usableFiles(files, target)).at(-1));
  for await (const file of listLtxFiles(replica, { level: 0, seek, withTimestamps, signal })) {
    files.push(file);
    if (target.kind === "txid" && file.minTxid > target.txid) break;
  }
  return { files, isWhole: false };
}

/** Files that surely count for the target; those whose stamp is not known yet do not. */
function usableFiles(files: readonly LtxFileInfo[], target: RestoreTarget): LtxFileInfo[] {
  if (target.kind === "txid") return files.filter(({ maxTxid }) => maxTxid <= target.txid);
  if (target.kind === "latest") return [...files];
  return files.filter((file) => file.isStamped && file.createdAtMs < target.beforeMs);
}

async function stamp(
  replica: Replica,
  files: readonly LtxFileInfo[],
  target: RestoreTarget,
  { signal, stamps = new Map() }: LoadPlanOptions,
): Promise<readonly LtxFileInfo[]> {
  if (target.kind !== "time" || files.every(({ isStamped }) => isStamped)) return files;
  return stampFiles(replica, files, { beforeMs: target.beforeMs, cache: stamps, signal });
}

function toFiles(replica: Replica, objects: readonly ObjectInfo[]): LtxFileInfo[] {
  const files = objects.map((object) => toLtxFile(replica, object));
  return files.filter((file) => file !== undefined).map(oldestStampAdder(replica, objects));
}

/**
 * For a place where no LTX file was found: looks at every level, and says what is there instead.
 *
 * @throws {ReplicaError} `DB_NOT_FOUND`, `LEGACY_REPLICA`; nothing when there is an LTX file after all.
 */
export async function refuseWithoutLtx(
  replica: Replica,
  signal: AbortSignal | undefined,
): Promise<void> {
  const files = await listAllFiles(replica, signal);
  if (files.length > 0) return;
  const objects: ObjectInfo[] = [];
  for await (const object of listObjects(replica, {
    prefix: formatReplicaPrefix(replica),
    signal,
  })) {
    objects.push(object);
    if (objects.length >= 100) break;
  }
  refuseEmpty(replica, objects);
}

function refuseEmpty(replica: Replica, objects: readonly ObjectInfo[]): never {
  const prefix = formatReplicaPrefix(replica);
  const place = prefix === "" ? (replica.folder ?? "the folder") : `"${prefix}"`;
  if (objects.some(({ key }) => key.startsWith(`${prefix}generations/`))) {
    throw new ReplicaError(
      "LEGACY_REPLICA",
      `${place} holds a replica of Litestream 0.3 (generations/) and no LTX file: upgrade Litestream to 0.5, or run \`eddy replicate\`; both begin an LTX replica there and leave the old files alone`,
    );
  }
  const other = { ...replica, layout: replica.layout === "s3" ? "folder" : "s3" } as const;
  if (objects.some(({ key }) => parseLtxKey(other, key))) {
    const [theirs, ours] = replica.layout === "s3" ? ["ltx/0", "0000"] : ["0000", "ltx/0"];
    throw new ReplicaError(
      "DB_NOT_FOUND",
      `${place} holds LTX files under the names that Litestream uses in ${other.layout === "s3" ? "a bucket" : "a folder"} (${theirs}/ …), not in ${replica.layout === "s3" ? "a bucket" : "a folder"} (${ours}/ …): rename ${theirs} to ${ours}, and so on with each level, or replicate anew`,
    );
  }
  throw new ReplicaError(
    "DB_NOT_FOUND",
    `there is no LTX file below ${place}: check the path, and whether anything was replicated to it yet`,
  );
}
