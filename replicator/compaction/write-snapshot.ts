import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { ReplicaError, throwIfAborted } from "../../shared/errors.ts";
import type { LtxSummary } from "../../shared/ltx/decoder.ts";
import { SNAPSHOT_LEVEL } from "../../shared/limits.ts";
import type { Txid } from "../../shared/ltx/txid.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { writeWorkFile } from "../storage/work-file.ts";
import { storeLtx, verifyLtx, type StoredLtx } from "./store-ltx.ts";

/** A snapshot leaves so much room on the disk for what is captured meanwhile, in bytes. */
const RESERVE_BYTES = 128 * 1024 * 1024;
/** The room is looked at each time when so much was written, in bytes. */
const LOOK_BYTES = 32 * 1024 * 1024;

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
  /** Resolves when the store has all TXIDs up to this one; rejects when it is given to something else. */
  readonly whenUploaded: (txid: Txid, signal: AbortSignal) => Promise<void>;
  /** So much room is left on the disk, in bytes. */
  readonly reserveBytes?: number | undefined;
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
  const { replica, open, whenUploaded, signal } = options;
  const snapshot = await open(signal);
  // Asked now: what comes to have this TXID later may be something else.
  const uploaded = whenUploaded(snapshot.txid, signal);
  uploaded.catch(() => undefined);
  await using file = await readSnapshot(snapshot, options);
  const summary = await verifyLtx(file.path);
  await uploaded;
  return await storeLtx(replica, file.path, summary, { level: SNAPSHOT_LEVEL, signal });
}

async function readSnapshot(snapshot: OpenSnapshot, options: SnapshotOptions) {
  using _ = snapshot;
  const { folder, signal } = options;
  return await writeWorkFile(join(folder, "snapshot.ltx"), body(snapshot.pieces, options), signal);
}

async function* body(
  pieces: Generator<Uint8Array>,
  { folder, reserveBytes = RESERVE_BYTES, signal }: SnapshotOptions,
): AsyncGenerator<Uint8Array> {
  let unseenBytes = LOOK_BYTES;
  for (const piece of pieces) {
    throwIfAborted(signal);
    if (unseenBytes >= LOOK_BYTES) {
      await refuseFullDisk(folder, reserveBytes);
      unseenBytes = 0;
    }
    unseenBytes += piece.length;
    yield piece;
  }
}

async function refuseFullDisk(folder: string, reserveBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize >= LOOK_BYTES + reserveBytes) return;
  throw new ReplicaError(
    "LOCAL_FILE",
    `there is too little room for a snapshot in ${folder}: it is written there first, and what is left of the disk is kept for new commits`,
  );
}
