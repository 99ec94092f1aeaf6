import { ReplicaError, isReplicaError } from "../../errors.ts";
import { pageChecksum32 } from "../../ltx/checksum.ts";
import { decodePageFrame } from "../../ltx/page-frame.ts";
import type { LtxFileInfo } from "../list-ltx-files.ts";
import type { Replica } from "../ltx-key.ts";
import { readObject } from "../read-object.ts";
import type { VerifiableLocation } from "./location-coding.ts";

/** Which page, and where it lies. */
export interface StoredPage {
  readonly pgno: number;
  readonly location: VerifiableLocation;
  /** The files that the location is one of. */
  readonly files: readonly LtxFileInfo[];
  readonly pageSize: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Reads one page out of an LTX file.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE`, naming the object, when it is not what its checksum says;
 *   `OBJECT_MISSING` when the file is gone.
 */
export async function readStoredPage(
  replica: Replica,
  { pgno, location, files, pageSize, signal }: StoredPage,
): Promise<Uint8Array> {
  const { file, offset, size, checksum } = location;
  const info = files[file];
  const { bytes } = await readObject(replica, info, { offset, length: size }, signal);
  try {
    const decoded = decodePageFrame(bytes, pageSize);
    if (decoded.pgno === pgno && pageChecksum32(pgno, decoded.page) === checksum) {
      return decoded.page;
    }
  } catch (error) {
    if (!isReplicaError(error, "CORRUPT_PAGE")) throw error;
  }
  const sentence = `"${info.key}" is damaged: its page ${pgno} is not what it was`;
  throw new ReplicaError("CORRUPT_PAGE", sentence);
}
