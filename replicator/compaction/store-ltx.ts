import { isReplicaError } from "../../shared/errors.ts";
import { formatInstant } from "../../shared/instant.ts";
import { LtxDecoder, type LtxSummary } from "../../shared/ltx/decoder.ts";
import { OLDEST_METADATA, TIMESTAMP_METADATA } from "../../shared/replica/list-ltx-files.ts";
import {
  formatLtxKey,
  formatOldestKey,
  type LtxKey,
  type Replica,
} from "../../shared/replica/ltx-key.ts";
import { readInPieces } from "../files/read-in-pieces.ts";
import { confirmStored } from "./confirm-stored.ts";

/** An LTX file above level 0 that is safely in the store. */
export interface StoredLtx extends LtxKey {
  readonly key: string;
  readonly sizeBytes: number;
  /** Stamp of the newest transaction in it, milliseconds since the epoch. */
  readonly timestampMs: number;
}

export interface StoreLtxOptions {
  readonly level: number;
  /** Stamp of its oldest transaction, in milliseconds, where that is known. */
  readonly oldestAtMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Decodes a whole file, with every check. */
export async function verifyLtx(path: string): Promise<LtxSummary> {
  const decoder = new LtxDecoder();
  for await (const chunk of readInPieces(path)) {
    for (const _ of decoder.push(chunk));
  }
  return decoder.finish();
}

/**
 * Puts a file that `verifyLtx` has decoded into the store. When this returns, it was found there with its
 * last bytes.
 *
 * @throws {ReplicaError} `STORE_CONFLICT` when another file is under the key, `OBJECT_MISSING`, and what
 *   the store throws.
 */
export async function storeLtx(
  replica: Replica,
  path: string,
  summary: LtxSummary,
  { level, oldestAtMs, signal }: StoreLtxOptions,
): Promise<StoredLtx> {
  const { header, sizeBytes } = summary;
  const { minTxid, maxTxid, timestampMs } = header;
  const key = formatLtxKey(replica, { level, minTxid, maxTxid });
  if (oldestAtMs !== undefined && replica.layout === "folder") {
    const oldest = formatInstant(oldestAtMs);
    const beside = formatOldestKey(replica, { level, minTxid, maxTxid });
    const metadata = { [TIMESTAMP_METADATA]: oldest };
    await replica.store.put(beside, new TextEncoder().encode(`${oldest}\n`), { metadata, signal });
  }
  const metadata = {
    [TIMESTAMP_METADATA]: formatInstant(timestampMs),
    ...(oldestAtMs !== undefined && { [OLDEST_METADATA]: formatInstant(oldestAtMs) }),
  };
  try {
    await replica.store.put(key, readInPieces(path), {
      metadata,
      onlyIf: { absent: true },
      sizeBytesMax: sizeBytes,
      signal,
    });
  } catch (error) {
    // It may be there from a run that was killed before it could say so: then it is found below.
    if (!isReplicaError(error, "STORE_CONFLICT")) throw error;
  }
  await confirmStored(replica, key, summary, signal);
  return { level, minTxid, maxTxid, key, sizeBytes, timestampMs };
}
