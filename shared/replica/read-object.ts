import { ReplicaError, isReplicaError } from "../errors.ts";
import type { ByteRange, StoredBytes } from "../storage/object-store.ts";
import type { LtxFileInfo } from "./list-ltx-files.ts";
import type { Replica } from "./ltx-key.ts";

/**
 * Reads a part of an LTX object that a plan names, as long as it is still the same object.
 *
 * @throws {ReplicaError} `OBJECT_MISSING` when it is gone or was replaced: time to plan again.
 */
export async function readObject(
  { store }: Replica,
  { key, etag }: LtxFileInfo,
  range: ByteRange,
  signal: AbortSignal | undefined,
): Promise<StoredBytes> {
  const stored = await store.get(key, { range, ifMatch: etag, signal }).catch((cause: unknown) => {
    if (!isReplicaError(cause, "STORE_CONFLICT")) throw cause;
    throw new ReplicaError("OBJECT_MISSING", `"${key}" was replaced since it was listed`, {
      cause,
    });
  });
  if (stored) return stored;
  throw new ReplicaError("OBJECT_MISSING", `"${key}" is no longer in the bucket`);
}
