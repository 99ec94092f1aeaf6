/** LTX files read whole, one after the other: every page, and only what its file's checksum vouches for. */
import { ReplicaError, isReplicaError, throwIfAborted } from "../../errors.ts";
import { pageChecksum32 } from "../../ltx/checksum.ts";
import { LtxDecoder, type LtxSummary } from "../../ltx/decoder.ts";
import { LTX_HEADER_BYTES } from "../../ltx/header.ts";
import type { LtxFileInfo } from "../list-ltx-files.ts";
import type { Replica } from "../ltx-key.ts";
import { readObject } from "../read-object.ts";
import type { BundleFile } from "./bundle-format.ts";
import type { VerifiableLocation } from "./location-coding.ts";

/** What one request asks for, and how many are under way, in bytes. */
const PIECE_BYTES = 1024 * 1024;
const PIECES_AHEAD = 4;

/** A page that a scan came by. Not to be trusted before its file has ended. */
export interface ScannedPage {
  readonly pgno: number;
  readonly page: Uint8Array;
  readonly location: VerifiableLocation;
}

export interface ScanOptions {
  /** Number of the first file in the bundle's table; the others follow. */
  readonly firstFile: number;
  readonly onPage: (page: ScannedPage) => void;
  /** Called as bytes were read. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a scan learns of a file beside its pages. */
export interface ScannedFile {
  readonly file: BundleFile;
  /** Size of the database after it, in pages. */
  readonly commit: number;
  readonly pageSize: number;
}

/**
 * Reads files whole, in their order, with every check that `LtxDecoder` makes: what a bundle says of a
 * page must come from a file that is sound.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE`, naming the object; `OBJECT_MISSING`; `ABORTED`.
 */
export async function scanFiles(
  replica: Replica,
  files: readonly LtxFileInfo[],
  { firstFile, onPage, onBytes, signal }: ScanOptions,
): Promise<ScannedFile[]> {
  const scanned: ScannedFile[] = [];
  let decoder = new LtxDecoder();
  let offset = LTX_HEADER_BYTES;
  for await (const { info, isLast, bytes } of pieces(replica, files, signal)) {
    try {
      for (const { pgno, data } of decoder.push(bytes)) {
        const size = decoder.frameEnd - offset;
        const checksum = pageChecksum32(pgno, data);
        const location = { file: firstFile + scanned.length, offset, size, checksum };
        onPage({ pgno, page: data, location });
        offset += size;
      }
      onBytes?.(bytes.length);
      if (!isLast) continue;
      scanned.push(toScanned(info, decoder.finish()));
      decoder = new LtxDecoder();
      offset = LTX_HEADER_BYTES;
    } catch (cause) {
      if (!isReplicaError(cause, "CORRUPT_PAGE")) throw cause;
      const sentence = `"${info.key}" is damaged: ${cause.message}`;
      throw new ReplicaError("CORRUPT_PAGE", sentence, { cause });
    }
  }
  return scanned;
}

function toScanned(info: LtxFileInfo, { header, trailer, sizeBytes }: LtxSummary): ScannedFile {
  const { level, minTxid, maxTxid, etag } = info;
  if (header.minTxid !== minTxid || header.maxTxid !== maxTxid) {
    throw new ReplicaError("CORRUPT_PAGE", "its name does not say the TXIDs that it holds");
  }
  const { timestampMs, commit, pageSize } = header;
  const { fileChecksum } = trailer;
  return {
    file: { level, minTxid, maxTxid, sizeBytes, timestampMs, fileChecksum, etag },
    commit,
    pageSize,
  };
}

interface Piece {
  readonly info: LtxFileInfo;
  readonly isLast: boolean;
  readonly bytes: Uint8Array;
}

/** The files' bytes in order; a few pieces are fetched ahead, across the ends of files. */
async function* pieces(
  replica: Replica,
  files: readonly LtxFileInfo[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Piece> {
  const places = cut(files);
  const pending: { info: LtxFileInfo; isLast: boolean; bytes: Promise<Uint8Array> }[] = [];
  const fill = () => {
    while (pending.length < PIECES_AHEAD) {
      const next = places.next();
      if (next.done) return;
      const { info, isLast, offset, length } = next.value;
      const bytes = readObject(replica, info, { offset, length }, signal).then(
        (read) => read.bytes,
      );
      // It may fail while an earlier one is being worked on, and before anybody awaits it.
      bytes.catch(() => undefined);
      pending.push({ info, isLast, bytes });
    }
  };
  try {
    // Bounded by the files: every pass takes one piece away.
    for (fill(); ; fill()) {
      throwIfAborted(signal);
      const [first] = pending;
      if (!first) return;
      const bytes = await first.bytes;
      pending.shift();
      yield { info: first.info, isLast: first.isLast, bytes };
    }
  } finally {
    await Promise.allSettled(pending.map(({ bytes }) => bytes));
  }
}

function* cut(files: readonly LtxFileInfo[]) {
  for (const info of files) {
    for (let offset = 0; offset < Math.max(1, info.sizeBytes); offset += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, info.sizeBytes - offset);
      yield { info, offset, length, isLast: offset + length >= info.sizeBytes };
    }
  }
}
