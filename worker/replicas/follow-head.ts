import { nextTxid, type Txid } from "../../shared/ltx/txid.ts";
import { decodeHeader, LTX_HEADER_BYTES } from "../../shared/ltx/header.ts";
import { listLtxFiles, type LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import { formatLtxKey, type Replica } from "../../shared/replica/ltx-key.ts";
import { loadPlan } from "../../shared/replica/load-plan.ts";
import type { RestorePlan } from "../../shared/replica/restore-plan.ts";

/** The newest transaction of a database, as one look at the bucket found it. */
export interface Head {
  readonly plan: RestorePlan;
  /** When that look began, in milliseconds since the epoch. */
  readonly checkedAtMs: number;
  /** When level 0 was last listed. */
  readonly listedAtMs: number;
  /** Files in the plan when it was last made from a whole listing; it has grown by the others. */
  readonly plannedFiles: number;
}

/** New files asked for one by one before a listing is cheaper. */
const PROBES_MAX = 4;
/**
 * For how long a missing key is taken to mean "nothing new": a file may also be missing because it
 * has been compacted away, or because the path was wiped and began anew.
 */
const LIST_INTERVAL_MS = 30_000;
/** Files that a plan grows by before it is made again, to gain from compaction. */
const PLAN_GROWTH_MAX = 256;

export interface FollowOptions {
  readonly nowMs: number;
  /** Opens a new file beforehand, beside the reads that look for the next. */
  readonly prefetch: (file: LtxFileInfo) => Promise<unknown>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Looks for what is newer than `head`. The next file's key is known, so that the usual look is one
 * ranged read that finds nothing. A file that is found counts only while the plan's last file is
 * still the same: whoever wipes a path and begins anew repeats the TXIDs.
 */
export async function followHead(
  replica: Replica,
  head: Head,
  options: FollowOptions,
): Promise<Head> {
  const { nowMs, signal } = options;
  const first = await probe(replica, nextTxid(head.plan.txid), signal);
  if (!first) {
    const isListingDue = nowMs - head.listedAtMs >= LIST_INTERVAL_MS;
    return isListingDue ? followByListing(replica, head, options) : { ...head, checkedAtMs: nowMs };
  }
  const [files, isSame] = await Promise.all([
    probeOn(replica, first, signal),
    isLastFileThere(replica, head.plan, signal),
    options.prefetch(first),
  ]);
  if (!isSame || hasGrownLong(head)) return planAnew(replica, options);
  if (files.length === PROBES_MAX) return followByListing(replica, head, options);
  return { ...head, plan: extend(head.plan, files), checkedAtMs: nowMs };
}

function hasGrownLong({ plan, plannedFiles }: Head): boolean {
  return plan.files.length - plannedFiles > PLAN_GROWTH_MAX;
}

/** The file that was found and those right behind it, `PROBES_MAX` at most. */
async function probeOn(
  replica: Replica,
  first: LtxFileInfo,
  signal: AbortSignal | undefined,
): Promise<LtxFileInfo[]> {
  const files = [first];
  while (files.length < PROBES_MAX) {
    const next = await probe(replica, nextTxid(files.at(-1)?.maxTxid), signal);
    if (!next) break;
    files.push(next);
  }
  return files;
}

async function isLastFileThere(
  { store }: Replica,
  { files }: RestorePlan,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const last = files.at(-1);
  if (!last) return false;
  const stored = await store.get(last.key, { range: { offset: 0, length: 1 }, signal });
  return stored?.etag === last.etag;
}

/** Reads the beginning of the level-0 file of one transaction. Undefined when there is none. */
async function probe(
  replica: Replica,
  txid: Txid,
  signal: AbortSignal | undefined,
): Promise<LtxFileInfo | undefined> {
  const place = { level: 0, minTxid: txid, maxTxid: txid };
  const key = formatLtxKey(replica, place);
  const range = { offset: 0, length: LTX_HEADER_BYTES };
  const stored = await replica.store.get(key, { range, signal });
  if (!stored) return undefined;
  const createdAtMs = decodeHeader(stored.bytes).timestampMs;
  const { totalBytes: sizeBytes, etag } = stored;
  return { ...place, key, sizeBytes, createdAtMs, isStamped: true, etag };
}

async function followByListing(
  replica: Replica,
  head: Head,
  options: FollowOptions,
): Promise<Head> {
  const { plan } = head;
  const { nowMs, signal } = options;
  const listing = listLtxFiles(replica, { level: 0, seek: nextTxid(plan.txid), signal });
  const [files, isSame] = await Promise.all([
    Array.fromAsync(listing),
    isLastFileThere(replica, plan, signal),
  ]);
  const isGapless = files.every((file, index) => file.minTxid === plan.txid + BigInt(index) + 1n);
  if (!isSame || !isGapless || hasGrownLong(head)) return planAnew(replica, options);
  return { ...head, plan: extend(plan, files), checkedAtMs: nowMs, listedAtMs: nowMs };
}

/** Looks at everything, as one who has never seen the replica. */
export async function planAnew(
  replica: Replica,
  { nowMs, signal }: Pick<FollowOptions, "nowMs" | "signal">,
): Promise<Head> {
  const plan = await loadPlan(replica, { kind: "latest" }, { signal });
  const plannedFiles = plan.files.length;
  return { plan, checkedAtMs: nowMs, listedAtMs: nowMs, plannedFiles };
}

function extend(plan: RestorePlan, files: readonly LtxFileInfo[]): RestorePlan {
  const last = files.at(-1);
  if (!last) return plan;
  return { files: [...plan.files, ...files], txid: last.maxTxid, exact: true };
}
