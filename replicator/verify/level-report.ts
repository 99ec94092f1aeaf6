import { LEVEL_MAX, SNAPSHOT_LEVEL } from "../../shared/limits.ts";
import { nextTxid, type Txid } from "../../shared/ltx/txid.ts";
import type { LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import { planFollow } from "../follow/plan-follow.ts";

/** TXIDs that no file of a level holds, both ends within. */
export interface LevelGap {
  readonly first: Txid;
  readonly last: Txid;
  /** Other levels hold them, so that everything after them can be restored. */
  readonly isBridged: boolean;
}

/** What a level holds. */
export interface LevelReport {
  readonly level: number;
  readonly files: number;
  readonly sizeBytes: number;
  readonly minTxid: Txid;
  readonly maxTxid: Txid;
  /** Snapshots stand each for itself: they have none. */
  readonly gaps: readonly LevelGap[];
}

/** Reports on each level that has files, from one replica's listing in any order. */
export function reportLevels(files: readonly LtxFileInfo[]): LevelReport[] {
  const reports: LevelReport[] = [];
  for (let level = 0; level <= LEVEL_MAX; level++) {
    const ofLevel = files.filter((file) => file.level === level).toSorted(byName);
    const [first] = ofLevel;
    if (!first) continue;
    const gaps: LevelGap[] = [];
    let end = first.maxTxid;
    for (const { minTxid, maxTxid } of ofLevel) {
      if (level !== SNAPSHOT_LEVEL && minTxid > end + 1n) {
        const last = (minTxid - 1n) as Txid;
        const reached = planFollow(files, end).at(-1)?.maxTxid ?? end;
        gaps.push({ first: nextTxid(end), last, isBridged: reached > last });
      }
      if (maxTxid > end) end = maxTxid;
    }
    const sizeBytes = ofLevel.reduce((sum, file) => sum + file.sizeBytes, 0);
    const { minTxid } = first;
    reports.push({ level, files: ofLevel.length, sizeBytes, minTxid, maxTxid: end, gaps });
  }
  return reports;
}

function byName(a: LtxFileInfo, b: LtxFileInfo): number {
  return compare(a.minTxid, b.minTxid) || compare(a.maxTxid, b.maxTxid);
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : Number(a > b);
}
