/**
 * Which LTX files make the database at one point of its history. Pure: a listing and a target go in,
 * a plan or an error comes out. The choice is Litestream's, file for file, so that both restore the same;
 * where Litestream quietly hands out an older state, this is an error or says so.
 */
import { ReplicaError, type ErrorDetails } from "../errors.ts";
import { formatInstant } from "../instant.ts";
import { LEVEL_MAX, SNAPSHOT_LEVEL } from "../limits.ts";
import { formatTxid, type Txid } from "../ltx/txid.ts";
import type { LtxFileInfo } from "./list-ltx-files.ts";

/** A point in a database's history. */
export type RestoreTarget =
  | { readonly kind: "latest" }
  | { readonly kind: "txid"; readonly txid: Txid }
  /** The last transaction stamped before `beforeMs`, milliseconds since the Unix epoch. */
  | { readonly kind: "time"; readonly beforeMs: number };

export interface RestorePlan {
  /** In the order in which they apply: each begins at or before the end of the last, plus one. */
  readonly files: readonly LtxFileInfo[];
  /** Where the plan ends. */
  readonly txid: Txid;
  /** False when a file that covers several transactions hides the moment that was asked for. */
  readonly exact: boolean;
}

/**
 * Plans how to restore `target` from `files`, one replica's listing in any order.
 *
 * @throws {ReplicaError} `DB_NOT_FOUND` without files, `REPLICA_GAP` when a TXID that is needed is in
 *   no file, `VERSION_EXPIRED` and `TXID_TOO_NEW` for TXIDs, `TIME_OUT_OF_RANGE` for moments.
 */
export function planRestore(files: readonly LtxFileInfo[], target: RestoreTarget): RestorePlan {
  if (files.length === 0) throw new ReplicaError("DB_NOT_FOUND", "there are no LTX files");
  const chain = chooseChain(files, target);
  const end = chain.at(-1)?.maxTxid;
  if (target.kind === "txid" && end !== target.txid) refuseTxid(files, target.txid);
  if (end === undefined) return refuseStart(files, target);
  if (target.kind === "latest") refuseGapAfter(files, end);
  const exact = target.kind !== "time" || isExact(files, end, target.beforeMs);
  return { files: chain, txid: end, exact };
}

/**
 * Every TXID at which `files` make a whole database, ascending.
 *
 * A file leads from any state at or after the one before its first TXID to its last TXID. Taken by
 * ascending last TXID, the newest state that was reached so far is the one to ask.
 */
export function restorableTxids(files: readonly LtxFileInfo[]): Txid[] {
  const reached: Txid[] = [];
  for (const { minTxid, maxTxid } of files.toSorted((a, b) => compare(a.maxTxid, b.maxTxid))) {
    const newest = reached.at(-1) ?? 0n;
    if (newest !== maxTxid && minTxid <= newest + 1n) reached.push(maxTxid);
  }
  return reached;
}

/** One level's files, and the best of those that were looked at so far. */
interface Cursor {
  readonly files: readonly LtxFileInfo[];
  next: number;
  candidate: LtxFileInfo | undefined;
}

function chooseChain(files: readonly LtxFileInfo[], target: RestoreTarget): LtxFileInfo[] {
  const usable = files.filter((file) => isUsable(file, target)).toSorted(byName);
  const chain: LtxFileInfo[] = [];
  const base = usable.findLast(({ level, minTxid }) => level === SNAPSHOT_LEVEL && minTxid === 1n);
  if (base) chain.push(base);
  const cursors: Cursor[] = [];
  for (let level = LEVEL_MAX; level >= 0; level--) {
    const ofLevel = usable.filter((file) => file.level === level);
    cursors.push({ files: ofLevel, next: 0, candidate: undefined });
  }
  // Bounded by the files: every pass appends one that ends later than the last.
  for (;;) {
    const end = chain.at(-1)?.maxTxid ?? 0n;
    let best: LtxFileInfo | undefined;
    for (const cursor of cursors) best = better(best, advance(cursor, end));
    if (!best) return chain;
    chain.push(best);
  }
}

function isUsable({ maxTxid, createdAtMs }: LtxFileInfo, target: RestoreTarget): boolean {
  if (target.kind === "txid") return maxTxid <= target.txid;
  return target.kind === "latest" || createdAtMs < target.beforeMs;
}

/** The level's best file that continues a chain which ends at `end`. */
function advance(cursor: Cursor, end: bigint): LtxFileInfo | undefined {
  if (cursor.candidate && cursor.candidate.maxTxid <= end) cursor.candidate = undefined;
  for (; cursor.next < cursor.files.length; cursor.next++) {
    const file = cursor.files[cursor.next];
    if (file.minTxid > end + 1n) break;
    if (file.maxTxid > end) cursor.candidate = better(cursor.candidate, file);
  }
  return cursor.candidate;
}

function better(a: LtxFileInfo | undefined, b: LtxFileInfo | undefined): LtxFileInfo | undefined {
  if (!a || !b) return a ?? b;
  const order =
    compare(b.maxTxid, a.maxTxid) ||
    compare(a.minTxid, b.minTxid) ||
    b.level - a.level ||
    a.createdAtMs - b.createdAtMs;
  return order <= 0 ? a : b;
}

function byName(a: LtxFileInfo, b: LtxFileInfo): number {
  return compare(a.minTxid, b.minTxid) || compare(a.maxTxid, b.maxTxid);
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : Number(a > b);
}

function holds({ minTxid, maxTxid }: LtxFileInfo, txid: bigint): boolean {
  return minTxid <= txid && txid <= maxTxid;
}

function isExact(files: readonly LtxFileInfo[], end: Txid, beforeMs: number): boolean {
  const beyond = files.filter(({ maxTxid }) => maxTxid > end);
  const holders = beyond.filter((file) => holds(file, end + 1n));
  const hidden = beyond.find(({ createdAtMs }) => createdAtMs < beforeMs);
  if (hidden && holders.length === 0) refuseHole(end, hidden);
  return (
    beyond.length === 0 ||
    holders.some(({ minTxid, maxTxid }) => minTxid === maxTxid) ||
    holders.some(({ oldestAtMs }) => oldestAtMs !== undefined && oldestAtMs >= beforeMs)
  );
}

function refuseGapAfter(files: readonly LtxFileInfo[], end: Txid): void {
  const beyond = files.filter(({ minTxid }) => minTxid > end + 1n).toSorted(byName);
  if (beyond[0]) refuseHole(end, beyond[0]);
}

function refuseHole(end: Txid, next: LtxFileInfo): never {
  throw new ReplicaError(
    "REPLICA_GAP",
    `TXID ${formatTxid((end + 1n) as Txid)} is in no LTX file: the files reach ${formatTxid(end)} and go on with ${formatTxid(next.minTxid)}, ${formatInstant(next.createdAtMs)}; ${formatTxid(end)} can be restored by its TXID`,
    { details: { neighbours: { before: formatTxid(end) } } },
  );
}

function refuseTxid(files: readonly LtxFileInfo[], txid: Txid): never {
  const details = detailsOf(restorableTxids(files), txid);
  const newest = files.reduce(
    (max, { maxTxid }) => (maxTxid > max ? maxTxid : max),
    files[0].maxTxid,
  );
  if (newest < txid) {
    const sentence = `TXID ${formatTxid(txid)} is beyond the newest, ${formatTxid(newest)}`;
    throw new ReplicaError("TXID_TOO_NEW", sentence, { details });
  }
  const { before, after } = details.neighbours ?? {};
  const near = [before && `${before} before it`, after && `${after} after it`].filter(Boolean);
  const advice =
    near.length > 0
      ? `restorable next to it: ${near.join(", ")}`
      : "none is restorable, as no LTX file begins at TXID 1: the base of the database is missing";
  throw new ReplicaError(
    "VERSION_EXPIRED",
    `TXID ${formatTxid(txid)} cannot be restored any more by itself; ${advice}`,
    { details },
  );
}

function detailsOf(restorable: readonly Txid[], txid: Txid): ErrorDetails {
  const before = restorable.findLast((candidate) => candidate < txid);
  const after = restorable.find((candidate) => candidate > txid);
  const [min, max] = [restorable[0], restorable.at(-1)];
  return {
    neighbours: {
      ...(before !== undefined && { before: formatTxid(before) }),
      ...(after !== undefined && { after: formatTxid(after) }),
    },
    ...(min !== undefined &&
      max !== undefined && { range: { min: formatTxid(min), max: formatTxid(max) } }),
  };
}

/** No chain begins: there is no base at all, or the moment lies before the first. */
function refuseStart(files: readonly LtxFileInfo[], target: RestoreTarget): never {
  const restorable = restorableTxids(files);
  const [min, max] = [restorable[0], restorable.at(-1)];
  if (min === undefined || max === undefined || target.kind !== "time") {
    const first = files.toSorted(byName)[0];
    throw new ReplicaError(
      "REPLICA_GAP",
      `no LTX file begins at TXID 1 and the first begins at ${formatTxid(first.minTxid)}: the base of the database is missing, a new full image is needed`,
    );
  }
  const firstMs = Math.min(
    ...files.filter(({ minTxid }) => minTxid === 1n).map(({ createdAtMs }) => createdAtMs),
  );
  throw new ReplicaError(
    "TIME_OUT_OF_RANGE",
    `${formatInstant(target.beforeMs - 1)} is before the first moment that can be restored, ${formatInstant(firstMs)}`,
    { details: { range: { min: formatTxid(min), max: formatTxid(max) } } },
  );
}
