/** A plan that is opened: through an edge bundle where one goes with it, otherwise file by file. */
import { snapshotOf, type BundleHead } from "../../shared/replica/edge-bundle/read-bundle-head.ts";
import type { LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import { fileIdentity } from "../../shared/replica/ltx-file.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import type { RestorePlan } from "../../shared/replica/restore-plan.ts";
import {
  extendSnapshot,
  openPlan,
  type OpenPlanOptions,
  type Snapshot,
} from "../../shared/replica/snapshot.ts";

/** Files behind a bundle that are more, or larger together, are no gain over opening all of the plan. */
const NEWER_FILES_MAX = 64;
const NEWER_BYTES_MAX = 64 * 1024 * 1024;
/** Where the files behind a bundle are larger together, only the small ones are read whole and verified. In bytes. */
const WHOLE_BYTES_MAX = 16 * 1024 * 1024;
const SMALL_BYTES_MAX = 64 * 1024;

/** Opens `plan`, through `bundle` where that describes what the plan begins with. */
export async function openPlanned(
  replica: Replica,
  plan: RestorePlan,
  bundle: BundleHead | undefined,
  options: OpenPlanOptions,
): Promise<Snapshot> {
  const newer = bundle && filesBehind(bundle, plan);
  if (!newer) return openPlan(replica, plan, options);
  const base = snapshotOf(replica, bundle);
  const isLarge = bytesOf(newer) > WHOLE_BYTES_MAX;
  const extended = await extendSnapshot(base, newer, {
    ...options,
    ...(isLarge && { wholeBytesMax: SMALL_BYTES_MAX }),
  });
  return { ...extended, plan };
}

/**
 * The files of `plan` that lead on from a bundle, which is of the same history when the plan has one of
 * its files. Undefined when they do not.
 */
function filesBehind(
  { txid, plan: { files } }: BundleHead,
  plan: RestorePlan,
): readonly LtxFileInfo[] | undefined {
  const known = new Set(files.map(fileIdentity));
  const isSameHistory = plan.files.some((file) => known.has(fileIdentity(file)));
  if (plan.txid < txid || !isSameHistory) return undefined;
  const newer = plan.files.filter(({ maxTxid }) => maxTxid > txid);
  const isShort = newer.length <= NEWER_FILES_MAX && bytesOf(newer) <= NEWER_BYTES_MAX;
  return isShort ? newer : undefined;
}

function bytesOf(files: readonly LtxFileInfo[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
