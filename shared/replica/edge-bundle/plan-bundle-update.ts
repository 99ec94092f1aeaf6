/** What a bundle needs after its replica has changed. Pure: a listing and a head go in. */
import { isReplicaError } from "../../errors.ts";
import { SNAPSHOT_LEVEL } from "../../limits.ts";
import type { Txid } from "../../ltx/txid.ts";
import type { LtxFileInfo } from "../list-ltx-files.ts";
import { planRestore } from "../restore-plan.ts";
import { chainFrom, chooseFiles, isSmallBeside, type ChosenFiles } from "./choose-files.ts";
import type { HeadContent } from "./head-format.ts";
import { isSameFile } from "./same-file.ts";

/** A delta that is larger has its base written anew: a head is read whole. In bytes. */
const DELTA_BYTES_MIN = 64 * 1024;
const DELTA_BYTES_MAX = 512 * 1024;
const DELTA_SHARE = 1 / 8;

export type BundleUpdate =
  /** The head names what there is. */
  | { readonly kind: "none" }
  /** The base stays. */
  | { readonly kind: "head"; readonly chain: readonly LtxFileInfo[] }
  /** A new base, over what the old one knows. */
  | {
      readonly kind: "base";
      readonly chosen: ChosenFiles;
      readonly chain: readonly LtxFileInfo[];
    }
  /** All of it from the LTX files. */
  | { readonly kind: "build"; readonly chosen: ChosenFiles };

/**
 * Plans how a bundle comes to a replica's newest TXID with as little as possible read and written.
 *
 * @param files The replica's, all levels, in any order; without those that are about to be deleted.
 * @param head The one that is there.
 * @throws {ReplicaError} What `planRestore` throws where nothing leads to the newest TXID.
 */
export function planBundleUpdate(
  files: readonly LtxFileInfo[],
  head: HeadContent | undefined,
): BundleUpdate {
  const plan = planRestore(files, { kind: "latest" });
  const isThere = (file: HeadContent["files"][number]) =>
    files.some((listed) => isSameFile(listed, file));
  // None of its files is there any more, or time went back: it describes another history.
  if (!head || head.txid > plan.txid || !head.files.some(isThere)) {
    return { kind: "build", chosen: chooseFiles(files) };
  }
  if (head.txid === plan.txid && head.files.every(isThere)) return { kind: "none" };
  const baseFiles = head.files.slice(0, head.base.fileCount);
  const chain = chainFrom(files, head.base.txid);
  const reaches = chain && (chain.at(-1)?.maxTxid ?? head.base.txid) === plan.txid;
  if (reaches && baseFiles.every(isThere) && isSmallBeside(chain, baseFiles)) {
    return { kind: "head", chain };
  }
  return planNewBase(files, head);
}

/** Plans a new base over what the old one knows, where that can be. */
export function planNewBase(files: readonly LtxFileInfo[], head: HeadContent): BundleUpdate {
  const chosen = chooseFiles(files);
  const end = chosen.base.at(-1)?.maxTxid;
  const chain = end && chainBetween(files, head.base.txid, end);
  return chain ? { kind: "base", chosen, chain } : { kind: "build", chosen };
}

/**
 * Whether a head's delta is so large that a new base is worth it, and one can be had that takes over
 * at least half of it.
 */
export function isNewBaseDue(
  files: readonly LtxFileInfo[],
  head: HeadContent,
  deltaBytes: number,
): boolean {
  const share = Math.min(DELTA_SHARE * head.base.sizeBytes, DELTA_BYTES_MAX);
  if (deltaBytes <= Math.max(DELTA_BYTES_MIN, share)) return false;
  const end = chooseFiles(files).base.at(-1)?.maxTxid ?? 0n;
  let taken = 0;
  for (let index = 0; index < head.delta.length; index++) {
    if (head.files[head.delta.fileAt(index)].maxTxid <= end) taken++;
  }
  return 2 * taken >= head.delta.length;
}

/** The files that lead from one state to another, none of them an image from TXID 1 on. */
function chainBetween(
  files: readonly LtxFileInfo[],
  from: Txid,
  to: Txid,
): readonly LtxFileInfo[] | undefined {
  if (to < from) return undefined;
  const newer = files.filter(({ minTxid, maxTxid }) => maxTxid > from && minTxid > 1n);
  const first = { ...files[0], level: SNAPSHOT_LEVEL, minTxid: 1n as Txid, maxTxid: from };
  try {
    return planRestore([first, ...newer], { kind: "txid", txid: to }).files.slice(1);
  } catch (error) {
    if (!isReplicaError(error, "VERSION_EXPIRED")) throw error;
    return undefined;
  }
}
