/** Which of a replica's files the base of a bundle is built over, and which its delta. */
import { isReplicaError } from "../../errors.ts";
import type { Txid } from "../../ltx/txid.ts";
import type { LtxFileInfo } from "../list-ltx-files.ts";
import { planRestore, restorableTxids } from "../restore-plan.ts";

/**
 * Files that are newer than a base are its delta as long as they are small, or small beside the base:
 * a head is read whole. In bytes.
 */
const DELTA_FILES_BYTES_MIN = 8 * 1024 * 1024;
const DELTA_FILES_BYTES_MAX = 64 * 1024 * 1024;
const DELTA_FILES_SHARE = 1 / 8;

type Sized = Pick<LtxFileInfo, "sizeBytes">;

export interface ChosenFiles {
  /** They make the whole database. In the order in which they apply. */
  readonly base: readonly LtxFileInfo[];
  /** They lead on from there to the newest TXID. */
  readonly delta: readonly LtxFileInfo[];
}

/**
 * Files of level 0 go minutes after they were compacted, so a base does without them where it can.
 *
 * @param files One replica's, all levels, in any order.
 * @throws {ReplicaError} What `planRestore` throws where nothing leads to the newest TXID.
 */
export function chooseFiles(files: readonly LtxFileInfo[]): ChosenFiles {
  const plan = planRestore(files, { kind: "latest" });
  const stable = files.filter(({ level }) => level > 0);
  const reached = restorableTxids(stable).at(-1);
  if (reached !== undefined) {
    const { files: base } = planRestore(stable, { kind: "txid", txid: reached });
    const delta = chainFrom(files, reached);
    const end = delta?.at(-1)?.maxTxid ?? reached;
    if (delta && end === plan.txid && isSmallBeside(delta, base)) return { base, delta };
  }
  return { base: plan.files, delta: [] };
}

/**
 * The files that lead from the state at `txid` to the newest one; undefined where none do. None of
 * them is an image of the whole database that begins at TXID 1: it would say nothing new.
 */
export function chainFrom(
  files: readonly LtxFileInfo[],
  txid: Txid,
): readonly LtxFileInfo[] | undefined {
  const newer = files.filter(({ minTxid, maxTxid }) => maxTxid > txid && minTxid > 1n);
  // In place of all that leads to the state at `txid`.
  const first = { ...files[0], level: 9, minTxid: 1n as Txid, maxTxid: txid };
  try {
    return planRestore([first, ...newer], { kind: "latest" }).files.slice(1);
  } catch (error) {
    if (!isReplicaError(error, "REPLICA_GAP")) throw error;
    return undefined;
  }
}

/** Whether files are so few bytes that a head can say where all of their pages lie. */
export function isSmallBeside(delta: readonly Sized[], base: readonly Sized[]): boolean {
  const share = Math.min(DELTA_FILES_SHARE * bytesOf(base), DELTA_FILES_BYTES_MAX);
  return bytesOf(delta) <= Math.max(DELTA_FILES_BYTES_MIN, share);
}

function bytesOf(files: readonly Sized[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
