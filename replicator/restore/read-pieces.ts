import { ReplicaError, isReplicaError } from "../../shared/errors.ts";
import type { LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import type { ObjectStore } from "../../shared/storage/object-store.ts";

/** R2 answers a few ranged reads side by side much faster than one long one. */
const PIECE_BYTES = 2 * 1024 * 1024;
/** Pieces that are under way or wait for their turn take no more than this much memory together. */
const AHEAD_BYTES_MIN = 8 * 1024 * 1024;
const AHEAD_BYTES_PER_REQUEST = 512 * 1024;

/** A part of a file, or the whole of it when it is small. */
export interface FilePiece {
  readonly file: LtxFileInfo;
  readonly isLast: boolean;
  /** Settled already; rejects with `OBJECT_MISSING` when the object is gone or was replaced. */
  readonly bytes: Promise<Uint8Array>;
}

export interface ReadPiecesOptions {
  /** Most requests at a time, of one file or of many. */
  readonly parallelism: number;
  readonly signal?: AbortSignal | undefined;
}

interface PendingPiece extends FilePiece {
  readonly sizeBytes: number;
}

/**
 * The bytes of many objects, one object after the other, in pieces that are fetched side by side: a
 * small file takes one request, a large one is cut into ranges. Memory is bounded, whatever the files'
 * number and size. Every request names the object's ETag, so two contents never mix.
 *
 * A piece that cannot be read rejects when its turn has come; whoever goes on then gets the next.
 * Leaving the loop early ends the requests that are under way.
 */
export async function* readPieces(
  store: ObjectStore,
  files: readonly LtxFileInfo[],
  { parallelism, signal }: ReadPiecesOptions,
): AsyncGenerator<FilePiece, void, undefined> {
  const left = new AbortController();
  const either = signal === undefined ? left.signal : AbortSignal.any([signal, left.signal]);
  const aheadBytesMax = Math.max(AHEAD_BYTES_MIN, parallelism * AHEAD_BYTES_PER_REQUEST);
  const pieces = cut(store, files, either);
  const pending: PendingPiece[] = [];
  let pendingBytes = 0;
  let isCut = false;
  const fill = () => {
    // Looked at before a piece is begun: one piece may go over.
    while (!isCut && pending.length < parallelism && pendingBytes < aheadBytesMax) {
      const next = pieces.next();
      if (next.done) isCut = true;
      else {
        pending.push(next.value);
        pendingBytes += next.value.sizeBytes;
      }
    }
  };
  try {
    // Bounded by the files: every pass takes one piece away.
    for (fill(); ; fill()) {
      const piece = pending.shift();
      if (!piece) return;
      // Waited for here, so that its place is free before the caller works on it.
      await piece.bytes.catch(() => undefined);
      pendingBytes -= piece.sizeBytes;
      fill();
      yield piece;
    }
  } finally {
    left.abort();
  }
}

/** Begins one request after the other as it is asked for the next. */
function* cut(
  store: ObjectStore,
  files: readonly LtxFileInfo[],
  signal: AbortSignal,
): Generator<PendingPiece, void> {
  for (const file of files) {
    const { sizeBytes } = file;
    let offset = 0;
    do {
      const length = Math.min(PIECE_BYTES, sizeBytes - offset);
      const bytes = fetchPiece(store, file, { offset, length }, signal);
      // Nobody may come to await it: then its error must not be stray.
      bytes.catch(() => undefined);
      offset += length;
      yield { file, isLast: offset >= sizeBytes, bytes, sizeBytes: length };
    } while (offset < sizeBytes);
  }
}

async function fetchPiece(
  store: ObjectStore,
  { key, etag }: LtxFileInfo,
  range: { readonly offset: number; readonly length: number },
  signal: AbortSignal,
): Promise<Uint8Array> {
  // An empty object: the decoder says what is wrong with it.
  if (range.length === 0) return new Uint8Array();
  const stored = await store.get(key, { range, ifMatch: etag, signal }).catch((cause: unknown) => {
    if (!isReplicaError(cause, "STORE_CONFLICT")) throw cause;
    throw new ReplicaError("OBJECT_MISSING", `"${key}" was replaced while it was read`, { cause });
  });
  if (!stored) throw new ReplicaError("OBJECT_MISSING", `"${key}" is no longer in the store`);
  return stored.bytes;
}
