import { ReplicaError } from "../errors.ts";
import { CHECKSUM_FLAG, type Checksum } from "./checksum.ts";
import { hasNoChecksum, type LtxHeader } from "./header.ts";

export const LTX_TRAILER_BYTES = 16;

/** The last 16 bytes of an LTX file. */
export interface LtxTrailer {
  /** Database checksum after this file; 0 in files without database checksums. */
  readonly postApplyChecksum: bigint;
  readonly fileChecksum: Checksum;
}

/**
 * Decodes a trailer; what its checksums ought to be is not its business.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` when the length is wrong or the file checksum is not marked.
 */
export function decodeTrailer(bytes: Uint8Array): LtxTrailer {
  if (bytes.length !== LTX_TRAILER_BYTES) {
    refuse(`has ${bytes.length} bytes, not ${LTX_TRAILER_BYTES}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, LTX_TRAILER_BYTES);
  const fileChecksum = view.getBigUint64(8);
  if ((fileChecksum & CHECKSUM_FLAG) === 0n) {
    refuse("holds a file checksum without the bit that marks one");
  }
  return { postApplyChecksum: view.getBigUint64(0), fileChecksum: fileChecksum as Checksum };
}

/** Encodes `trailer`. */
export function encodeTrailer(trailer: LtxTrailer): Uint8Array {
  const bytes = new Uint8Array(LTX_TRAILER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, trailer.postApplyChecksum);
  view.setBigUint64(8, trailer.fileChecksum);
  return bytes;
}

/**
 * Holds a trailer against its file's header: the database checksum must be there exactly when the
 * header promises one.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE`
 */
export function checkTrailer({ postApplyChecksum }: LtxTrailer, header: LtxHeader): void {
  if (hasNoChecksum(header)) {
    if (postApplyChecksum === 0n) return;
    refuse("holds a post-apply checksum that the header denies");
  }
  if ((postApplyChecksum & CHECKSUM_FLAG) !== 0n) return;
  refuse("lacks the post-apply checksum that the header promises");
}

function refuse(what: string): never {
  throw new ReplicaError("CORRUPT_PAGE", `the LTX file is damaged: its trailer ${what}`);
}
