/** A head for a base that stays: what is newer than the base changes, and little else. */
import { ReplicaError } from "../../errors.ts";
import type { LtxFileInfo } from "../list-ltx-files.ts";
import type { Replica } from "../ltx-key.ts";
import type { BundleFile } from "./bundle-format.ts";
import { chooseHot } from "./choose-hot.ts";
import type { HeadContent } from "./head-format.ts";
import { HeadSource } from "./head-source.ts";
import { InteriorFrames } from "./interior-frames.ts";
import type { VerifiableLocation } from "./location-coding.ts";
import { LocationTable } from "./location-table.ts";
import { toFileInfo } from "./read-bundle-head.ts";
import { isSameFile } from "./same-file.ts";
import { scanFiles, type ScannedFile } from "./scan-files.ts";

export interface RefreshOptions {
  /** The head that is there. */
  readonly old: HeadContent;
  /** The files that lead on from its base, in their order. */
  readonly chain: readonly LtxFileInfo[];
  readonly hotBytesMax?: number | undefined;
  readonly onBytes?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes the head of a newer TXID over the old head's base. Of the files only those are read that the old
 * head did not know; and of the base single parts.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` when a file is damaged, or the old bundle is; `OBJECT_MISSING`.
 */
export async function refreshHead(
  replica: Replica,
  { old, chain, hotBytesMax, onBytes, signal }: RefreshOptions,
): Promise<HeadContent> {
  const { base, pageSize } = old;
  const kept = keptOf(old, chain);
  const frames = new InteriorFrames(pageSize);
  const newest = new Map<number, VerifiableLocation>();
  const scanned = await scanFiles(replica, chain.slice(kept), {
    firstFile: base.fileCount + kept,
    onPage({ pgno, page, location }) {
      newest.set(pgno, location);
      frames.offer(pgno, page, Infinity);
    },
    onBytes,
    signal,
  });
  for (const each of scanned) refuseOtherPages(each, pageSize);
  const { commit, txid, timestampMs } = stateAfter(old, scanned);
  const files = [
    ...old.files.slice(0, base.fileCount + kept),
    ...scanned.map(({ file }) => file),
  ] satisfies BundleFile[];
  const delta = merge(old.delta, { kept: base.fileCount + kept, newest, commit });
  const source = new HeadSource({
    replica,
    files: files.map((file) => toFileInfo(replica, file)),
    commit,
    delta,
    old,
    scanned: new Set(newest.keys()),
    frames,
    signal,
  });
  const hot = await chooseHot(source, hotBytesMax);
  return { pageSize, commit, txid, timestampMs, files, base, delta, ...hot };
}

/**
 * How many files of the old head's chain go on to count. What it knew of those is all that it takes, as
 * long as none of the files behind them reaches back among them.
 */
function keptOf({ base, files }: HeadContent, chain: readonly LtxFileInfo[]): number {
  const oldChain = files.slice(base.fileCount);
  let kept = 0;
  while (kept < oldChain.length && kept < chain.length && isSameFile(oldChain[kept], chain[kept])) {
    kept++;
  }
  const end = oldChain[kept - 1]?.maxTxid ?? base.txid;
  return oldChain.slice(kept).some(({ minTxid }) => minTxid <= end) ? 0 : kept;
}

function stateAfter(old: HeadContent, scanned: readonly ScannedFile[]) {
  const last = scanned.at(-1);
  if (!last) return old;
  const { maxTxid: txid, timestampMs } = last.file;
  return { commit: last.commit, txid, timestampMs };
}

/** The old delta, as far as it lies in files that count on, and what was scanned before it. */
function merge(
  old: LocationTable,
  {
    kept,
    newest,
    commit,
  }: {
    /** Files of the old table that go on to count. */
    readonly kept: number;
    readonly newest: ReadonlyMap<number, VerifiableLocation>;
    readonly commit: number;
  },
): LocationTable {
  const all = new Map<number, VerifiableLocation>();
  for (let index = 0; index < old.length; index++) {
    const location = old.rowAt(index);
    if (location.file < kept) all.set(old.pgnoAt(index), location);
  }
  for (const [pgno, location] of newest) all.set(pgno, location);
  const pgnos = [...all.keys()].filter((pgno) => pgno <= commit).toSorted((a, b) => a - b);
  const table = new LocationTable(pgnos.length);
  for (const pgno of pgnos) table.append(pgno, all.get(pgno)!);
  return table;
}

function refuseOtherPages({ file, pageSize }: ScannedFile, expected: number): void {
  if (pageSize === expected) return;
  const sentence = `the file of TXID ${file.maxTxid} has pages of ${pageSize} bytes, and the bundle of ${expected}: two histories share this path`;
  throw new ReplicaError("CORRUPT_PAGE", sentence);
}
