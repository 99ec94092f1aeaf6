import { ReplicaError, isReplicaError, throwIfAborted } from "../../shared/errors.ts";
import { LtxDecoder, type LtxSummary } from "../../shared/ltx/decoder.ts";
import type { LtxHeader } from "../../shared/ltx/header.ts";
import { formatTxid } from "../../shared/ltx/txid.ts";
import type { LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import type { ObjectStore } from "../../shared/storage/object-store.ts";
import { readPieces } from "./read-pieces.ts";

/** Requests at a time where nothing else is said. */
export const PARALLELISM_DEFAULT = 16;

export interface DecodeFilesOptions {
  /** Most requests at a time. */
  readonly parallelism?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called as bytes of LTX files have been read and decoded. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
  /**
   * Called with every page, file after file. Its bytes are the decoder's again after the call, and not to
   * be trusted before the file has ended.
   */
  readonly onPage?: ((pgno: number, data: Uint8Array) => void) | undefined;
  /** Waited for after each piece of a file: whoever takes the pages may need time for them. */
  readonly afterPiece?: ((isLast: boolean) => Promise<void>) | undefined;
  /** Called when a file is at its end and all of its checksums hold. */
  readonly onFile?: ((file: LtxFileInfo, summary: LtxSummary) => void) | undefined;
  /** Told of a file that is damaged or gone, after which the next one is read; otherwise that is thrown. */
  readonly onFailure?: ((file: LtxFileInfo, error: ReplicaError) => void) | undefined;
}

/**
 * Reads LTX files in their order, each whole, with every check that `LtxDecoder` makes and one more:
 * that a file holds the TXIDs that its name says. Fetching runs ahead of decoding.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` and `OBJECT_MISSING` with the object's key, unless
 *   `onFailure` is there to be told; what the store throws; `ABORTED`.
 */
export async function decodeFiles(
  store: ObjectStore,
  files: readonly LtxFileInfo[],
  options: DecodeFilesOptions,
): Promise<void> {
  const { parallelism = PARALLELISM_DEFAULT, signal, onBytes, onPage, onFile, onFailure } = options;
  let decoder = new LtxDecoder({ reusesPages: true });
  let failed: LtxFileInfo | undefined;
  for await (const { file, isLast, bytes } of readPieces(store, files, { parallelism, signal })) {
    throwIfAborted(signal);
    try {
      if (file === failed) continue;
      const chunk = await bytes;
      for (const { pgno, data } of decoder.push(chunk)) onPage?.(pgno, data);
      onBytes?.(chunk.length);
      await options.afterPiece?.(isLast);
      if (!isLast) continue;
      const summary = decoder.finish();
      checkName(summary.header, file);
      onFile?.(file, summary);
    } catch (error) {
      const named = nameFile(file, error);
      if (!onFailure || !isOfFile(named)) throw named;
      failed = file;
      onFailure(file, named);
    } finally {
      if (isLast) decoder = new LtxDecoder({ reusesPages: true });
    }
  }
}

function checkName({ minTxid, maxTxid }: LtxHeader, file: LtxFileInfo): void {
  if (minTxid === file.minTxid && maxTxid === file.maxTxid) return;
  const held = `${formatTxid(minTxid)} to ${formatTxid(maxTxid)}`;
  throw new ReplicaError("CORRUPT_PAGE", `its name does not say the TXIDs that it holds, ${held}`);
}

/** Says which object it is that is damaged; what is gone says so already. */
function nameFile({ key }: LtxFileInfo, error: unknown): unknown {
  if (!isReplicaError(error, "CORRUPT_PAGE")) return error;
  const sentence = `"${key}" is damaged: ${error.message}`;
  return new ReplicaError("CORRUPT_PAGE", sentence, { cause: error });
}

function isOfFile(error: unknown): error is ReplicaError {
  return isReplicaError(error, "CORRUPT_PAGE") || isReplicaError(error, "OBJECT_MISSING");
}
