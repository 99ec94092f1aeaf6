import type { LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import type { ObjectStore } from "../../shared/storage/object-store.ts";
import { readPieces } from "./read-pieces.ts";

/** Ranges of one object that are fetched at a time. */
const PARALLELISM = 4;

/**
 * The bytes of one object in order, fetched in ranges of which a few are under way at a time.
 *
 * @throws {ReplicaError} `OBJECT_MISSING` when the object is gone or was replaced since it was listed.
 */
export async function* readInOrder(
  store: ObjectStore,
  file: LtxFileInfo,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const pieces = readPieces(store, [file], { parallelism: PARALLELISM, signal });
  for await (const { bytes } of pieces) yield await bytes;
}
