import { ReplicaError } from "../../shared/errors.ts";
import type { LtxSummary } from "../../shared/ltx/decoder.ts";
import { encodeTrailer, LTX_TRAILER_BYTES } from "../../shared/ltx/trailer.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";

/**
 * Looks whether a file that was put is in the store. The last bytes hold the checksum of the whole
 * file: what ends with them is our file.
 *
 * @throws {ReplicaError} `OBJECT_MISSING`, `STORE_CONFLICT` when another file is under the key.
 */
export async function confirmStored(
  { store }: Replica,
  key: string,
  { sizeBytes, trailer }: LtxSummary,
  signal: AbortSignal | undefined,
): Promise<void> {
  const found = await store.get(key, { range: { suffix: LTX_TRAILER_BYTES }, signal });
  if (!found) {
    throw new ReplicaError("OBJECT_MISSING", `"${key}" was stored, and is not in the store`);
  }
  const isOurs = Buffer.compare(found.bytes, encodeTrailer(trailer)) === 0;
  if (isOurs && found.totalBytes === sizeBytes) return;
  throw new ReplicaError(
    "STORE_CONFLICT",
    `"${key}" is in the store already with other content: another program compacts this replica; stop one of the two`,
  );
}
