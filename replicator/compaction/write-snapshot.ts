import { join } from "node:path";
import { throwIfAborted } from "../../shared/errors.ts";
import type { LtxSummary } from "../../shared/ltx/decoder.ts";
import { SNAPSHOT_LEVEL } from "../../shared/limits.ts";
import type { Txid } from "../../shared/ltx/txid.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { writeWorkFile } from "../storage/work-file.ts";
import { storeLtx, verifyLtx, type StoredLtx } from "./store-ltx.ts";

/** The whole database at one TXID, while it can be read. Disposing of it lets the log be checkpointed again. */
export interface OpenSnapshot extends Disposable {
  readonly txid: Txid;
  readonly pieces: Generator<Uint8Array, LtxSummary>;
}

export interface SnapshotOptions {
  readonly replica: Replica;
  /** Where the file is put before it is stored: as large as the stored one. Nothing stays there. */
  readonly folder: string;
  readonly open: (signal: AbortSignal) => Promise<OpenSnapshot>;
  /** Resolves when the store has all TXIDs up to this one. */
  readonly whenUploaded: (txid: Txid, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Writes the whole database into level 9. It is read into a local file first, so that the log has to wait
 * for the disk and not for the store; that file is decoded, and stored when the store has its TXID at
 * level 0. Before that a crash could give the TXID to other changes, and the snapshot would be of
 * another history.
 *
 * @throws {ReplicaError} `LOCAL_FILE` when there is no room; and what `open` and the store throw.
 */
export async function writeSnapshot(options: SnapshotOptions): Promise<StoredLtx> {
  const { replica, folder, open, whenUploaded, signal } = options;
  const snapshot = await open(signal);
  const { txid } = snapshot;
  await using file = await readSnapshot(snapshot, folder, signal);
  const summary = await verifyLtx(file.path);
  await whenUploaded(txid, signal);
  return await storeLtx(replica, file.path, summary, { level: SNAPSHOT_LEVEL, signal });
}

async function readSnapshot(snapshot: OpenSnapshot, folder: string, signal: AbortSignal) {
  using _ = snapshot;
  return await writeWorkFile(join(folder, "snapshot.ltx"), body(snapshot.pieces, signal), signal);
}

async function* body(
  pieces: Generator<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    throwIfAborted(signal);
    yield piece;
  }
}
