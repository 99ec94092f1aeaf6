import { ReplicaError, isReplicaError } from "../../errors.ts";
import { decodeHeader, LTX_HEADER_BYTES } from "../../ltx/header.ts";
import { LTX_INDEX_LENGTH_BYTES } from "../../ltx/page-index.ts";
import { decodeTrailer, LTX_TRAILER_BYTES } from "../../ltx/trailer.ts";
import type { LtxFileInfo } from "../list-ltx-files.ts";
import type { Replica } from "../ltx-key.ts";
import { readObject } from "../read-object.ts";
import type { ScannedFile } from "./scan-files.ts";

const FOOTER_BYTES = LTX_INDEX_LENGTH_BYTES + LTX_TRAILER_BYTES;

/** What a file says of itself, and where its pages lie, without the pages. */
export interface FileIndex extends ScannedFile {
  /** As it is stored, with the zero at its end. */
  readonly index: Uint8Array;
}

/**
 * Reads header, trailer and the whole page index of an LTX file, however large.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE`, naming the object; `OBJECT_MISSING` when it is gone.
 */
export async function readFileIndex(
  replica: Replica,
  info: LtxFileInfo,
  signal: AbortSignal | undefined,
): Promise<FileIndex> {
  const { sizeBytes, level, minTxid, maxTxid, etag } = info;
  const footerOffset = Math.max(0, sizeBytes - FOOTER_BYTES);
  const [head, footer] = await Promise.all([
    readObject(replica, info, { offset: 0, length: LTX_HEADER_BYTES }, signal),
    readObject(replica, info, { offset: footerOffset, length: FOOTER_BYTES }, signal),
  ]);
  try {
    const { timestampMs, commit, pageSize, ...header } = decodeHeader(head.bytes);
    if (header.minTxid !== minTxid || header.maxTxid !== maxTxid) {
      throw new ReplicaError("CORRUPT_PAGE", "its name does not say the TXIDs that it holds");
    }
    const { fileChecksum } = decodeTrailer(footer.bytes.subarray(LTX_INDEX_LENGTH_BYTES));
    const view = new DataView(footer.bytes.buffer, footer.bytes.byteOffset);
    const length = Number(view.getBigUint64(0));
    if (length < 1 || length > footerOffset) {
      throw new ReplicaError("CORRUPT_PAGE", `its page index claims ${length} bytes`);
    }
    const range = { offset: footerOffset - length, length };
    const { bytes: index } = await readObject(replica, info, range, signal);
    const file = { level, minTxid, maxTxid, sizeBytes, timestampMs, fileChecksum, etag };
    return { file, commit, pageSize, index };
  } catch (cause) {
    if (!isReplicaError(cause, "CORRUPT_PAGE")) throw cause;
    const sentence = `"${info.key}" is damaged: ${cause.message}`;
    throw new ReplicaError("CORRUPT_PAGE", sentence, { cause });
  }
}
