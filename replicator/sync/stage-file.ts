import { ReplicaError, isReplicaError } from "../../shared/errors.ts";
import type { LtxSummary } from "../../shared/ltx/decoder.ts";
import { pageFrameBytesMax } from "../../shared/ltx/page-frame.ts";
import { joinChunks } from "../../shared/storage/bytes.ts";
import { encodePieces } from "./encode-pieces.ts";
import type { LtxSource } from "./ltx-from-wal.ts";
import { DisturbedError, encodeInPieces, type EncodeOptions } from "./ltx-pieces.ts";
import type { StagedFile, Staging } from "./staging.ts";

/** An LTX file whose pages take up no more than this is made in memory first. In bytes. */
const SMALL_BYTES_MAX = 128 * 1024;
/** Three numbers of at most 5, 9 and 5 bytes. */
const INDEX_ENTRY_BYTES_MAX = 19;
/** Header, end of the pages, end of the index and its length, trailer; and room. */
const ENDS_BYTES_MAX = 256;

/**
 * Encodes an LTX file into the staging directory: a small one at once, any other as its pieces are made.
 * After this its TXID is taken.
 *
 * @throws {ReplicaError} `LOCAL_FILE` when the directory takes no file.
 * @throws {DisturbedError} When the log was begun anew meanwhile.
 */
export async function stageLtx(
  staging: Staging,
  ltx: LtxSource,
  options: EncodeOptions,
): Promise<LtxSummary> {
  const { header, pageCount } = ltx;
  try {
    if (pageCount * header.pageSize > SMALL_BYTES_MAX) {
      return await stageFile(staging, ltx, options);
    }
    const { bytes, summary } = joinPieces(encodeInPieces(ltx, options));
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
  ltx: LtxSource,
  options: EncodeOptions,
): Promise<LtxSummary> {
  const pieces = encodePieces(ltx, options);
  let summary: LtxSummary | undefined;
  const body = async function* () {
    try {
      for (;;) {
        const next = await pieces.next();
        if (!next.done) {
          yield next.value;
          continue;
        }
        summary = next.value;
        return;
      }
    } finally {
      // Where the file could not be written: what makes them is to end.
      await pieces.return?.();
    }
  };
  await staging.write(ltx.header.maxTxid, body(), sizeBytesMax(ltx));
  return summary!;
}

/** Most bytes that the file takes: pages that do not compress, and the longest numbers in its index. */
function sizeBytesMax({ header, pageCount }: LtxSource): number {
  const pageBytesMax = pageFrameBytesMax(header.pageSize) + INDEX_ENTRY_BYTES_MAX;
  return ENDS_BYTES_MAX + pageCount * pageBytesMax;
}

/** What is known of a staged file. */
export function stagedFile(
  { header, sizeBytes, pageCount }: LtxSummary,
  imageReason?: string,
): StagedFile {
  return { txid: header.maxTxid, sizeBytes, pageCount, imageReason };
}
