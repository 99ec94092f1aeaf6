import { decodeHeader, LTX_HEADER_BYTES } from "../../shared/ltx/header.ts";
import type { Txid } from "../../shared/ltx/txid.ts";
import type { LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import { listAllFiles } from "../../shared/replica/load-plan.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { restorableTxids } from "../../shared/replica/restore-plan.ts";

/** One compaction level of a replica. */
export interface LevelSummary {
  readonly level: number;
  readonly files: number;
  readonly bytes: number;
  readonly minTxid: Txid;
  readonly maxTxid: Txid;
}

/** What a whole listing of a replica says. */
export interface Inventory {
  readonly files: readonly LtxFileInfo[];
  /** Those that hold files, lowest first. */
  readonly levels: readonly LevelSummary[];
  /** Every TXID that can be restored by itself, ascending. */
  readonly restorable: readonly Txid[];
}

/** Lists all levels of a replica: ten lists or more. */
export async function takeInventory(replica: Replica, signal: AbortSignal): Promise<Inventory> {
  const files = await listAllFiles(replica, signal);
  const byLevel = Map.groupBy(files, ({ level }) => level);
  const levels = [...byLevel].map(([level, ofLevel]) => summarize(level, ofLevel));
  return {
    files,
    levels: levels.toSorted((a, b) => a.level - b.level),
    restorable: restorableTxids(files),
  };
}

/** When a restorable TXID was made, by its file's header. Undefined when the file has gone. */
export async function stampOfTxid(
  { store }: Replica,
  { files }: Inventory,
  txid: Txid,
  signal: AbortSignal,
): Promise<number | undefined> {
  const file = files.find(({ maxTxid }) => maxTxid === txid);
  if (!file) return undefined;
  const range = { offset: 0, length: LTX_HEADER_BYTES };
  const stored = await store.get(file.key, { range, signal });
  return stored && decodeHeader(stored.bytes).timestampMs;
}

function summarize(level: number, files: readonly LtxFileInfo[]): LevelSummary {
  let { minTxid, maxTxid } = files[0];
  let bytes = 0;
  for (const file of files) {
    if (file.minTxid < minTxid) minTxid = file.minTxid;
    if (file.maxTxid > maxTxid) maxTxid = file.maxTxid;
    bytes += file.sizeBytes;
  }
  return { level, files: files.length, bytes, minTxid, maxTxid };
}
