/** Copies the LTX files of one replica into another, whatever layout each of them has. */
import { ReplicaError, throwIfAborted } from "../shared/errors.ts";
import { LEVEL_MAX } from "../shared/limits.ts";
import { decodeHeader } from "../shared/ltx/header.ts";
import { listLtxFiles, type LtxFileInfo } from "../shared/replica/list-ltx-files.ts";
import { refuseWithoutLtx } from "../shared/replica/load-plan.ts";
import { formatLtxKey, type Replica } from "../shared/replica/ltx-key.ts";

/** Read at a time: what one copy in flight holds in memory, in bytes. */
const CHUNK_BYTES = 16 * 1024 * 1024;
const COPIES_IN_FLIGHT = 4;
const TIMESTAMP = "litestream-timestamp";

export interface CopyProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface CopyOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: CopyProgress) => void;
}

/**
 * Copies every LTX file, its time stamp kept: from the object's metadata where the store has it,
 * otherwise from the file's own header.
 *
 * @throws {ReplicaError} `DB_NOT_FOUND` and `LEGACY_REPLICA` when `source` holds no LTX file,
 *   `OBJECT_MISSING` when one disappears before it is read, and what the two stores throw.
 */
export async function copyReplica(
  source: Replica,
  target: Replica,
  { signal, onProgress }: CopyOptions = {},
): Promise<{ files: number; bytes: number }> {
  const files: LtxFileInfo[] = [];
  for (let level = 0; level <= LEVEL_MAX; level++) {
    const listing = listLtxFiles(source, {
      level,
      withTimestamps: true,
      ...(signal && { signal }),
    });
    for await (const file of listing) files.push(file);
  }
  if (files.length === 0) await refuseWithoutLtx(source, signal);
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let doneBytes = 0;
  const queue = files.values();
  const work = async () => {
    for (const file of queue) {
      throwIfAborted(signal);
      await copyFile(source, target, file, signal);
      doneBytes += file.sizeBytes;
      onProgress?.({ doneBytes, totalBytes });
    }
  };
  await Promise.all(Array.from({ length: COPIES_IN_FLIGHT }, work));
  return { files: files.length, bytes: totalBytes };
}

async function copyFile(
  source: Replica,
  target: Replica,
  file: LtxFileInfo,
  signal: AbortSignal | undefined,
): Promise<void> {
  const read = async (offset: number) => {
    const range = { offset, length: CHUNK_BYTES };
    const stored = await source.store.get(file.key, { range, signal });
    if (stored) return stored;
    throw new ReplicaError("OBJECT_MISSING", `"${file.key}" was removed while it was copied`);
  };
  const first = await read(0);
  const stamp =
    first.metadata[TIMESTAMP] ?? new Date(decodeHeader(first.bytes).timestampMs).toISOString();
  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield first.bytes;
    // Bounded by the object's size: every pass but the last reads a whole chunk.
    for (let offset = CHUNK_BYTES; offset < file.sizeBytes; offset += CHUNK_BYTES) {
      yield (await read(offset)).bytes;
    }
  }
  const body = file.sizeBytes <= CHUNK_BYTES ? first.bytes : chunks();
  await target.store.put(formatLtxKey(target, file), body, {
    metadata: { [TIMESTAMP]: stamp },
    signal,
  });
}
