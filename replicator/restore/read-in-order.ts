import { ReplicaError, isReplicaError } from "../../shared/errors.ts";
import type { LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import type { ObjectStore } from "../../shared/storage/object-store.ts";

const CHUNK_BYTES = 2 * 1024 * 1024;
/** R2 answers a few ranged reads side by side much faster than one long one. */
const IN_FLIGHT = 4;

/**
 * The bytes of one object in order, fetched in ranges of which a few are under way at a time; memory
 * is bounded by these. Every range names the object's ETag, so two contents never mix.
 *
 * @throws {ReplicaError} `OBJECT_MISSING` when the object is gone or was replaced since it was listed.
 */
export async function* readInOrder(
  store: ObjectStore,
  { key, sizeBytes, etag }: LtxFileInfo,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const fetchAt = async (offset: number) => {
    const range = { offset, length: CHUNK_BYTES };
    const stored = await store
      .get(key, { range, ifMatch: etag, signal })
      .catch((cause: unknown) => {
        if (!isReplicaError(cause, "STORE_CONFLICT")) throw cause;
        throw new ReplicaError("OBJECT_MISSING", `"${key}" was replaced while it was read`, {
          cause,
        });
      });
    if (!stored) throw new ReplicaError("OBJECT_MISSING", `"${key}" is no longer in the store`);
    return stored.bytes;
  };
  const pending: Promise<Uint8Array>[] = [];
  let next = 0;
  // Bounded by the object's size: every pass takes one range away.
  while (next < sizeBytes || pending.length > 0) {
    while (next < sizeBytes && pending.length < IN_FLIGHT) {
      const chunk = fetchAt(next);
      // When an earlier range fails nobody awaits this one any more; its error must not be stray.
      chunk.catch(() => undefined);
      pending.push(chunk);
      next += CHUNK_BYTES;
    }
    const chunk = pending.shift();
    if (chunk) yield await chunk;
  }
}
