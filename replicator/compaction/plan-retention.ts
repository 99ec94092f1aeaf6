import type { Txid } from "../../shared/ltx/txid.ts";
import type { LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";

/** What a listing says of a file, or what was known when it was written. */
export type RetainedFile = Omit<LtxFileInfo, "etag">;

/** What is kept at least, and for how long. Times in milliseconds. */
export interface RetentionRules {
  readonly nowMs: number;
  /** Files of level 0 stay for so long after they were made; `Infinity` keeps them, and all that they need. */
  readonly l0RetentionMs: number;
  /** So far back every moment that a level above 0 tells apart can be restored. */
  readonly snapshotRetentionMs: number;
}

export interface RetentionPlan {
  /** What nothing that is promised needs any more. */
  readonly remove: readonly RetainedFile[];
  /** What takes its place: to be found in the store before anything is removed. */
  readonly replacements: readonly RetainedFile[];
}

type Files = readonly RetainedFile[];

/**
 * Chooses what may be deleted from `files`, one replica's listing in any order; with a part of the
 * listing it chooses less, never more.
 *
 * A file that begins at TXID 1 holds the whole database: it is a snapshot at whatever level it stands.
 * Kept are the snapshots that are younger than the retention, or else the newest; the one before those,
 * from which the moments up to the oldest of them are restored, and which readers may still have open.
 * They stay at least as long as level 0. Above level 0 goes what ends before the oldest snapshot that is
 * kept, but for the last file of each level.
 */
export function planRetention(files: Files, rules: RetentionRules): RetentionPlan {
  const merged = planLevel0Retention(files, rules);
  const kept = keptSnapshots(files, rules);
  const floor = kept[0]?.maxTxid ?? 0n;
  const newest = newestByLevel(files);
  const superseded = files.filter((file) => {
    const { level, minTxid, maxTxid } = file;
    if (maxTxid >= floor || newest.get(level) === maxTxid) return false;
    return level > 0 || (minTxid === 1n && isOld(file, rules.nowMs, rules.l0RetentionMs));
  });
  return {
    remove: [...merged.remove, ...superseded],
    replacements: [
      ...merged.replacements.filter((file) => !superseded.includes(file)),
      ...(superseded.length > 0 ? kept : []),
    ],
  };
}

/**
 * The part of it that concerns level 0, where one TXID is one file: what a file of level 1 holds goes
 * when all that this file holds is old enough. Before that it stays as a whole, because a TXID in its
 * middle is restored through the TXIDs before it.
 */
export function planLevel0Retention(files: Files, rules: RetentionRules): RetentionPlan {
  const { nowMs, l0RetentionMs } = rules;
  const remove = new Set<RetainedFile>();
  const replacements: RetainedFile[] = [];
  for (const { replacement, members, removable } of mergedGroups(files)) {
    if (!members.every((member) => isOld(member, nowMs, l0RetentionMs))) break;
    const added = removable.filter((member) => !remove.has(member));
    if (added.length > 0) replacements.push(replacement);
    for (const member of added) remove.add(member);
  }
  return { remove: [...remove], replacements };
}

/** How many of the files of level 0 in `files` may go, and why the others may not. */
export interface Level0Counts {
  readonly eligible: number;
  /** No file of level 1 holds them. */
  readonly notCompacted: number;
  /** One does; but they, or others that it holds, are too young, or it is the newest of level 0. */
  readonly tooRecent: number;
}

/** Counts the files of level 0 as `planLevel0Retention` sees them. */
export function countLevel0(files: Files, rules: RetentionRules): Level0Counts {
  const level0 = files.filter(({ level }) => level === 0);
  const members = new Set([...mergedGroups(files)].flatMap((group) => group.members));
  const compacted = level0.filter((file) => members.has(file) || isHeldSnapshot(file, files));
  const eligible = planLevel0Retention(files, rules).remove.length;
  const notCompacted = level0.length - compacted.length;
  return { eligible, notCompacted, tooRecent: compacted.length - eligible };
}

/** When files of level 0 become old enough to go; undefined while there are none that may. */
export function level0DueMs(files: Files, l0RetentionMs: number): number | undefined {
  for (const { members, removable } of mergedGroups(files)) {
    if (removable.length === 0) continue;
    return members.reduce((ms, { createdAtMs }) => Math.max(ms, createdAtMs), 0) + l0RetentionMs;
  }
  return undefined;
}

/** When the next snapshot may go, if nothing is written until then; undefined when none will. */
export function snapshotsDueMs(files: Files, rules: RetentionRules): number | undefined {
  // Of three, the first goes when the second is too old to be kept for its own sake.
  const [, second, third] = snapshotsOf(files);
  if (!second || !third) return undefined;
  const dueMs = second.createdAtMs + snapshotWindowMs(rules);
  return dueMs > rules.nowMs ? dueMs : undefined;
}

interface MergedGroup {
  readonly replacement: RetainedFile;
  /** The files of level 0 that it holds. */
  readonly members: Files;
  /** Those of them that may ever go: the newest of level 0 tells a replicator where to go on. */
  readonly removable: Files;
}

/** The files of level 1 in order, each with those of level 0 that it replaces. */
function* mergedGroups(files: Files): Generator<MergedGroup> {
  const newest = newestByLevel(files).get(0);
  const level0 = files.filter((file) => file.level === 0 && !isSnapshot(file)).toSorted(byTxid);
  const level1 = files.filter((file) => file.level === 1).toSorted(byTxid);
  let first = 0;
  for (const replacement of level1) {
    while (level0[first] && level0[first].minTxid < replacement.minTxid) first++;
    const members: RetainedFile[] = [];
    for (let index = first; index < level0.length; index++) {
      const member = level0[index];
      if (member.minTxid > replacement.maxTxid) break;
      if (member.maxTxid <= replacement.maxTxid) members.push(member);
    }
    const removable = members.filter(({ maxTxid }) => maxTxid !== newest);
    if (members.length > 0) yield { replacement, members, removable };
  }
}

/** Ascending by last TXID. */
function keptSnapshots(files: Files, rules: RetentionRules): RetainedFile[] {
  const { nowMs, l0RetentionMs } = rules;
  const snapshots = snapshotsOf(files);
  const newest = snapshots.at(-1);
  if (!newest) return [];
  const windowMs = snapshotWindowMs(rules);
  const oldest = snapshots.find((file) => !isOld(file, nowMs, windowMs)) ?? newest;
  const preceding = snapshots.findLast(({ maxTxid }) => maxTxid < oldest.maxTxid) ?? oldest;
  // The first TXID that level 0 promises lies behind it, unless the clock was set back.
  const promised = files
    .filter((file) => file.level === 0 && !isOld(file, nowMs, l0RetentionMs))
    .reduce((least, { maxTxid }) => (maxTxid < least ? maxTxid : least), newest.maxTxid);
  const base = snapshots.findLast(({ maxTxid }) => maxTxid <= promised) ?? preceding;
  const first = base.maxTxid < preceding.maxTxid ? base : preceding;
  return snapshots.filter(({ maxTxid }) => maxTxid >= first.maxTxid);
}

/** A TXID that level 0 keeps needs its snapshot too. */
function snapshotWindowMs({ l0RetentionMs, snapshotRetentionMs }: RetentionRules): number {
  return Math.max(snapshotRetentionMs, l0RetentionMs);
}

function snapshotsOf(files: Files): RetainedFile[] {
  return files.filter(isSnapshot).toSorted((a, b) => compare(a.maxTxid, b.maxTxid));
}

/** The first file of a replica: no group's member, because it goes with the snapshots. */
function isHeldSnapshot(file: RetainedFile, files: Files): boolean {
  if (!isSnapshot(file)) return false;
  return files.some(
    ({ level, minTxid, maxTxid }) => level === 1 && minTxid === 1n && maxTxid >= file.maxTxid,
  );
}

function isSnapshot({ minTxid }: RetainedFile): boolean {
  return minTxid === 1n;
}

function isOld({ createdAtMs }: RetainedFile, nowMs: number, retentionMs: number): boolean {
  return nowMs - createdAtMs >= retentionMs;
}

function newestByLevel(files: Files): ReadonlyMap<number, Txid> {
  const newest = new Map<number, Txid>();
  for (const { level, maxTxid } of files) {
    if (maxTxid > (newest.get(level) ?? 0n)) newest.set(level, maxTxid);
  }
  return newest;
}

function byTxid(a: RetainedFile, b: RetainedFile): number {
  return compare(a.minTxid, b.minTxid) || compare(a.maxTxid, b.maxTxid);
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : Number(a > b);
}
