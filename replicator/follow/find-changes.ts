import { ReplicaError } from "../../shared/errors.ts";
import { formatTxid, nextTxid, type Txid } from "../../shared/ltx/txid.ts";
import { listLtxFiles, type LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import { listAllFiles } from "../../shared/replica/load-plan.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { planFollow } from "./plan-follow.ts";

/** So many new files at level 0 may be in the levels above too, in fewer. */
const MANY_FILES = 64;

/** What a replica goes on with after a TXID. */
export interface Changes {
  /** In the order in which they apply. */
  readonly files: readonly LtxFileInfo[];
  /** The first TXID that is needed next and that no file holds, though later ones are there. */
  readonly missing: Txid | undefined;
}

/**
 * Finds out what a replica goes on with after `from`. Where level 0 says it, that takes one LIST;
 * otherwise, and when `isThorough`, every level is listed, so that whatever bridges a hole is found.
 *
 * @throws {ReplicaError} `REPLICA_BEHIND` when a thorough look shows that the replica ends before `from`.
 */
export async function findChanges(
  replica: Replica,
  from: Txid,
  options: { readonly isThorough: boolean; readonly signal?: AbortSignal | undefined },
): Promise<Changes> {
  const { isThorough, signal } = options;
  if (!isThorough) {
    const next = nextTxid(from);
    const files = await Array.fromAsync(listLtxFiles(replica, { level: 0, seek: next, signal }));
    if (files.length === 0) return { files, missing: undefined };
    const leadsOn =
      files[0]?.minTxid === next && !missingAfter(files, planFollow(files, from), from);
    if (leadsOn && files.length < MANY_FILES) {
      return { files: planFollow(files, from), missing: undefined };
    }
  }
  const files = await listAllFiles(replica, signal);
  refuseOlder(files, from);
  const plan = planFollow(files, from);
  return { files: plan, missing: missingAfter(files, plan, from) };
}

function missingAfter(
  files: readonly LtxFileInfo[],
  plan: readonly LtxFileInfo[],
  from: Txid,
): Txid | undefined {
  const end = plan.at(-1)?.maxTxid ?? from;
  return files.some(({ maxTxid }) => maxTxid > end) ? nextTxid(end) : undefined;
}

function refuseOlder(files: readonly LtxFileInfo[], from: Txid): void {
  const newest = files.reduce((max, { maxTxid }) => (maxTxid > max ? maxTxid : max), 0n);
  if (newest >= from) return;
  const end = newest === 0n ? "is empty" : `ends at TXID ${formatTxid(newest as Txid)}`;
  throw new ReplicaError(
    "REPLICA_BEHIND",
    `the replica ${end}, and the database that follows it is at ${formatTxid(from)} already: it is another history. Check the URL, or restore anew with --force`,
  );
}
