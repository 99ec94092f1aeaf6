import type { Txid } from "../../shared/ltx/txid.ts";
import type { LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";

/** Files that one compaction merges at most: each is open while it runs. What is left is merged by the next. */
export const COMPACTION_FILES_MAX = 256;

export interface CompactionState {
  /** The newest TXID of the level to be written; undefined while it is empty. */
  readonly newestTxid: Txid | undefined;
  /** The files of the level below it, in any order. */
  readonly sources: readonly LtxFileInfo[];
  /** The newest TXIDs of files elsewhere that hold the whole database: a level may begin anew behind one of them. */
  readonly snapshots: readonly Txid[];
}

export type CompactionPlan =
  | { readonly kind: "nothing" }
  /** In the order of their TXIDs, without a gap. */
  | { readonly kind: "merge"; readonly files: readonly LtxFileInfo[] }
  /** TXIDs between these two are in no file, and no snapshot covers them. */
  | { readonly kind: "gap"; readonly after: Txid | undefined; readonly before: Txid };

/**
 * Chooses what a compaction merges: all that the level below holds beyond `newestTxid`, up to the first
 * gap. It never passes over a gap, because then nobody would see it any more. Where a snapshot covers
 * what is missing, the level goes on behind it: a restore begins there.
 *
 * A file that begins at TXID 1 holds the whole database. It is a snapshot wherever it stands, and is not
 * merged: the database would be written once more for each level.
 */
export function planCompaction({
  newestTxid,
  sources,
  snapshots,
}: CompactionState): CompactionPlan {
  const newer = sources
    .filter(({ minTxid }) => minTxid > 1n)
    .filter(({ maxTxid }) => newestTxid === undefined || maxTxid > newestTxid)
    .toSorted(byTxid);
  const first = newer[0];
  if (!first) return { kind: "nothing" };
  if (newestTxid !== undefined && first.minTxid <= newestTxid + 1n) return merge(newer);
  const bases = sources.filter(({ minTxid }) => minTxid === 1n).map(({ maxTxid }) => maxTxid);
  const isCovered = [...snapshots, ...bases].some((maxTxid) => maxTxid + 1n >= first.minTxid);
  if (isCovered) return merge(newer);
  return { kind: "gap", after: newestTxid, before: first.minTxid };
}

/** The files that follow each other, from the first on; one that reaches no further than those before it is left out. */
function merge(files: readonly LtxFileInfo[]): CompactionPlan {
  const chosen: LtxFileInfo[] = [];
  for (const file of files) {
    const last = chosen.at(-1);
    if (last && file.maxTxid <= last.maxTxid) continue;
    if (last && file.minTxid > last.maxTxid + 1n) break;
    chosen.push(file);
    if (chosen.length === COMPACTION_FILES_MAX) break;
  }
  return { kind: "merge", files: chosen };
}

/** By first TXID; of two that begin together, the one that reaches further comes first. */
function byTxid(a: LtxFileInfo, b: LtxFileInfo): number {
  return Number(a.minTxid - b.minTxid) || Number(b.maxTxid - a.maxTxid);
}
