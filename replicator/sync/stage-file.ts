import { ReplicaError, isReplicaError } from "../../shared/errors.ts";
import type { LtxSummary } from "../../shared/ltx/decoder.ts";
import type { Txid } from "../../shared/ltx/txid.ts";
import { DisturbedError } from "./ltx-pieces.ts";
import type { StagedFile, Staging } from "./staging.ts";

/**
 * Writes an LTX file to the staging directory as its pieces are made. After this its TXID is taken.
 *
 * @throws {ReplicaError} `LOCAL_FILE` when the directory takes no file.
 */
export async function stageFile(
  staging: Staging,
  txid: Txid,
  pieces: Iterator<Uint8Array, LtxSummary>,
): Promise<LtxSummary> {
  let summary: LtxSummary | undefined;
  const body = async function* () {
    for (;;) {
      const next = pieces.next();
      if (!next.done) {
        yield next.value;
        continue;
      }
      summary = next.value;
      return;
    }
  };
  try {
    await staging.write(txid, body());
  } catch (cause) {
    if (cause instanceof DisturbedError || isReplicaError(cause)) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    const reason = code === "ENOSPC" ? "the disk is full" : message;
    throw new ReplicaError("LOCAL_FILE", `cannot write to ${staging.folder}: ${reason}`, { cause });
  }
  return summary!;
}

/** What is known of a staged file. */
export function stagedFile(
  { header, sizeBytes, pageCount }: LtxSummary,
  imageReason?: string,
): StagedFile {
  return { txid: header.maxTxid, sizeBytes, pageCount, imageReason };
}
