import type { Txid } from "../ltx/txid.ts";
import type { LtxFileInfo } from "./list-ltx-files.ts";
import { restorableTxids } from "./restore-plan.ts";

/** A part of a replica's history in which the moments that can be restored lie equally close. */
export interface TimelineStretch {
  /** The level of the files at whose ends they lie; 9 for snapshots. */
  readonly level: number;
  /** The files at whose ends the first and the last of them lie. */
  readonly first: LtxFileInfo;
  readonly last: LtxFileInfo;
  /** How many there are. */
  readonly moments: number;
  /** All TXIDs between the first and the last are among them. */
  readonly isEveryTxid: boolean;
  /** Between one and the next, in milliseconds: half of them lie closer. Undefined for a single one. */
  readonly stepMs: number | undefined;
}

/** What `files`, one replica's listing in any order, can restore: the oldest first. */
export function timelineOf(files: readonly LtxFileInfo[]): TimelineStretch[] {
  const finest = new Map<Txid, LtxFileInfo>();
  for (const file of files) {
    const other = finest.get(file.maxTxid);
    if (!other || file.level < other.level) finest.set(file.maxTxid, file);
  }
  const moments = restorableTxids(files)
    .map((txid) => finest.get(txid))
    .filter((file) => file !== undefined);
  const stretches: LtxFileInfo[][] = [];
  let previousLevel: number | undefined;
  for (const [index, file] of moments.entries()) {
    const level = levelAmong(file, moments[index - 1], moments[index + 1]);
    if (level === previousLevel) stretches.at(-1)?.push(file);
    else stretches.push([file]);
    previousLevel = level;
  }
  return stretches.map(describe);
}

/** A snapshot between two files of a finer level divides nothing. */
function levelAmong(
  { level }: LtxFileInfo,
  before: LtxFileInfo | undefined,
  after: LtxFileInfo | undefined,
): number {
  return before && after ? Math.min(level, Math.max(before.level, after.level)) : level;
}

function describe(files: readonly LtxFileInfo[]): TimelineStretch {
  const [first, last] = [files[0], files[files.length - 1]];
  const steps = files
    .slice(1)
    .map(({ createdAtMs }, index) => createdAtMs - files[index].createdAtMs)
    .toSorted((a, b) => a - b);
  return {
    level: Math.min(...files.map(({ level }) => level)),
    first,
    last,
    moments: files.length,
    isEveryTxid: last.maxTxid - first.maxTxid + 1n === BigInt(files.length),
    stepMs: steps[Math.floor(steps.length / 2)],
  };
}
