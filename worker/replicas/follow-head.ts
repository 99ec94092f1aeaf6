import { nextTxid } from "../../shared/ltx/txid.ts";
import type { BundleHead } from "../../shared/replica/edge-bundle/read-bundle-head.ts";
import { listLtxFiles, type LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import type { RestorePlan } from "../../shared/replica/restore-plan.ts";
import { openFound, openListed, probeFile, type FoundFile, type OpenInto } from "./newer-files.ts";

/** The newest transaction of a database, as one look at the bucket found it. */
export interface Head {
  readonly plan: RestorePlan;
  /** When that look began, in milliseconds since the epoch. */
  readonly checkedAtMs: number;
  /** When level 0 was last listed. */
  readonly listedAtMs: number;
  /** Files in the plan when it was last made from a whole listing; it has grown by the others. */
  readonly plannedFiles: number;
  /** Says where the pages of the plan's first files lie. */
  readonly bundle?: BundleHead | undefined;
}

/** New files asked for one after the other before the rest is listed. */
const PROBES_MAX = 3;
/** Who has not looked for so long and finds a file lists at once: there will be more. */
const AWAY_MS = 10_000;
/**
 * For how long a missing key is taken to mean "nothing new": a file may also be missing because it
 * has been compacted away, or because the path was wiped and began anew.
 */
const LIST_INTERVAL_MS = 30_000;
/** Files that a plan grows by before it is made again, to gain from compaction. */
const PLAN_GROWTH_MAX = 256;
/** The same of a plan that begins with an edge bundle: a replicator rewrites that after eleven files. */
const BUNDLE_GROWTH_MAX = 64;

export interface FollowOptions extends OpenInto {
  readonly nowMs: number;
}

/**
 * Looks for what is newer than `head`. Undefined when that does not hold any more, or has grown long:
 * then all of the replica is to be looked at. The next file's key is known, so that the usual look is one
 * ranged read that finds nothing, or finds the file and has its content; a list costs twelve times
 * as much.
 *
 * A file that is found counts only while the plan's last file is still the same, which one more read
 * beside the others shows. It cannot be left out: whoever wipes a path and begins anew repeats the
 * TXIDs, LTX without checksums of the database does not say what a file follows, and pages of the old
 * history that are cached would never meet the ETags that reads are pinned to.
 */
export async function followHead(
  replica: Replica,
  head: Head,
  options: FollowOptions,
): Promise<Head | undefined> {
  const { nowMs, signal } = options;
  const first = await probeFile(replica, nextTxid(head.plan.txid), signal);
  if (!first) {
    const isListingDue = nowMs - head.listedAtMs >= LIST_INTERVAL_MS;
    return isListingDue ? followByListing(replica, head, options) : { ...head, checkedAtMs: nowMs };
  }
  if (nowMs - head.checkedAtMs >= AWAY_MS) return followByListing(replica, head, options, first);
  const [files, isSame] = await Promise.all([
    openOn(replica, [first], options),
    isLastFileThere(replica, head.plan, signal),
  ]);
  if (!isSame || hasGrownLong(head.plan, head)) return undefined;
  const plan = extend(head.plan, files);
  if (files.length === PROBES_MAX) return followByListing(replica, { ...head, plan }, options);
  return { ...head, plan, checkedAtMs: nowMs };
}

/** Opens the last of the files that were found, beside the look for the next. Answers all of them. */
async function openOn(
  replica: Replica,
  found: readonly FoundFile[],
  options: FollowOptions,
): Promise<LtxFileInfo[]> {
  const last = found[found.length - 1];
  const [all] = await Promise.all([
    probeOn(replica, found, options),
    openFound(replica, last, options),
  ]);
  return all;
}

async function probeOn(
  replica: Replica,
  found: readonly FoundFile[],
  options: FollowOptions,
): Promise<LtxFileInfo[]> {
  const infos = found.map(({ info }) => info);
  if (found.length === PROBES_MAX) return infos;
  const next = await probeFile(replica, nextTxid(infos.at(-1)?.maxTxid), options.signal);
  return next ? openOn(replica, [...found, next], options) : infos;
}

function hasGrownLong(plan: RestorePlan, { plannedFiles, bundle }: Head): boolean {
  return plan.files.length - plannedFiles > (bundle ? BUNDLE_GROWTH_MAX : PLAN_GROWTH_MAX);
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

/**
 * Lists level 0 from the plan's last file on: where that one is of level 0, the list itself shows
 * whether it is still the same. Opens what is new, beginning with a file that was found before.
 */
async function followByListing(
  replica: Replica,
  head: Head,
  options: FollowOptions,
  found?: FoundFile,
): Promise<Head | undefined> {
  const { plan } = head;
  const { nowMs, signal } = options;
  const last = plan.files.at(-1);
  const isListed = last?.level === 0;
  const [listed, isSame] = await Promise.all([
    listFrom(replica, isListed ? last.minTxid : nextTxid(plan.txid), signal),
    isListed || isLastFileThere(replica, plan, signal),
    found && openFound(replica, found, options),
  ]);
  const files = listed.filter(({ maxTxid }) => maxTxid > plan.txid);
  const isThere = isSame && (!isListed || listed.some((file) => isSameObject(file, last)));
  const isGapless = files.every((file, index) => file.minTxid === plan.txid + BigInt(index) + 1n);
  const extended = extend(plan, files);
  if (!isThere || !isGapless || hasGrownLong(extended, head)) return undefined;
  await openListed(replica, files, options);
  return { ...head, plan: extended, checkedAtMs: nowMs, listedAtMs: nowMs };
}

/** The first files of level 0 from `seek` on; more than a plan may grow by where there are more. */
async function listFrom(
  replica: Replica,
  seek: LtxFileInfo["minTxid"],
  signal: AbortSignal | undefined,
): Promise<LtxFileInfo[]> {
  const files: LtxFileInfo[] = [];
  for await (const file of listLtxFiles(replica, { level: 0, seek, signal })) {
    files.push(file);
    if (files.length > PLAN_GROWTH_MAX + 1) break;
  }
  return files;
}

function isSameObject(a: LtxFileInfo, b: LtxFileInfo): boolean {
  return a.key === b.key && a.etag === b.etag;
}

function extend(plan: RestorePlan, files: readonly LtxFileInfo[]): RestorePlan {
  const last = files.at(-1);
  if (!last) return plan;
  return { files: [...plan.files, ...files], txid: last.maxTxid, exact: true };
}
