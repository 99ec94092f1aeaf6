import { ReplicaError, isReplicaError } from "../../shared/errors.ts";
import type { LtxSummary } from "../../shared/ltx/decoder.ts";
import type { Txid } from "../../shared/ltx/txid.ts";
import { joinChunks } from "../../shared/storage/bytes.ts";
import type { LtxSource } from "./ltx-from-wal.ts";
import { DisturbedError, encodeInPieces, type EncodeOptions } from "./ltx-pieces.ts";
import type { StagedFile, Staging } from "./staging.ts";

/** An LTX file whose pages take up no more than this is made in memory first. In bytes. */
const SMALL_BYTES_MAX = 128 * 1024;

/**
 * Encodes an LTX file into the staging directory: a small one at once, any other as its pieces are made.
 * After this its TXID is taken.
 *
 * @throws {ReplicaError} `LOCAL_FILE` when the directory takes no file.
 * @throws {DisturbedError} As `encodeInPieces`.
 */
export async function stageLtx(
  staging: Staging,
  ltx: LtxSource,
  options: EncodeOptions,
): Promise<LtxSummary> {
  const { header, pageCount } = ltx;
  const pieces = encodeInPieces(ltx, options);
  try {
    if (pageCount * header.pageSize > SMALL_BYTES_MAX) {
      return await stageFile(staging, header.maxTxid, pieces);
    }
    const { bytes, summary } = joinPieces(pieces);
    await staging.writeSmall(header.maxTxid, bytes);
    return summary;
  } catch (cause) {
    if (cause instanceof DisturbedError || isReplicaError(cause)) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    const reason = code === "ENOSPC" ? "the disk is full" : message;
    throw new ReplicaError("LOCAL_FILE", `cannot write to ${staging.folder}: ${reason}`, { cause });
  }
}

function joinPieces(pieces: Iterator<Uint8Array, LtxSummary>): {
  bytes: Uint8Array;
  summary: LtxSummary;
} {
  const joined: Uint8Array[] = [];
  for (;;) {
    const next = pieces.next();
    if (next.done) return { bytes: joinChunks(joined), summary: next.value };
    joined.push(next.value);
  }
}

async function stageFile(
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
  await staging.write(txid, body());
  return summary!;
}

/** What is known of a staged file. */
export function stagedFile(
  { header, sizeBytes, pageCount }: LtxSummary,
  imageReason?: string,
): StagedFile {
  return { txid: header.maxTxid, sizeBytes, pageCount, imageReason };
}
