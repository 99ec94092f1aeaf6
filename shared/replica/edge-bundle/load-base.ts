/** What a base knows of a database, read from its beginning to its end, to build the next one from. */
import { throwIfAborted } from "../../errors.ts";
import { Crc64 } from "../../ltx/checksum.ts";
import type { Replica } from "../ltx-key.ts";
import { openPart, openRecord, readUnit } from "./base-reader.ts";
import { BASE_HEADER_BYTES } from "./base-writer.ts";
import type { BaseReference } from "./bundle-format.ts";
import { ByteReader, refuseBundle } from "./byte-reader.ts";
import type { VerifiableLocation } from "./location-coding.ts";
import { UNIT_EXTRA_BYTES, UNIT_LENGTH_BYTES } from "./sealed-unit.ts";

const PIECE_BYTES = 4 * 1024 * 1024;
const CHECKSUM_BYTES = 8;
/** Of a record: its kind, and then its page's number, with which the frame begins. */
const PGNO_OFFSET = UNIT_LENGTH_BYTES + 1;

export interface BaseVisitor {
  onRecord(pgno: number, page: Uint8Array): void;
  onLocation(pgno: number, location: VerifiableLocation): void;
}

/**
 * Reads a base whole and verifies all of it.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` when it is damaged, or gone.
 */
export async function loadBase(
  replica: Replica,
  { base, pageSize }: { readonly base: BaseReference; readonly pageSize: number },
  visitor: BaseVisitor,
  signal?: AbortSignal,
): Promise<void> {
  const checksum = new Crc64();
  const content = base.sizeBytes - CHECKSUM_BYTES;
  let part = 0;
  let offset = 0;
  /** Begins at `offset`. */
  let bytes = new Uint8Array();
  // Bounded by the base: every pass reads a piece of it.
  for (let end = 0; end < content;) {
    throwIfAborted(signal);
    const size = Math.min(PIECE_BYTES, content - end);
    const piece = await readUnit(replica, base, { offset: end, size }, signal);
    if (piece?.length !== size) return refuseBundle("its base is gone, or too short");
    checksum.update(piece);
    bytes = joined(bytes, piece);
    end += size;
    if (offset === 0) {
      offset = BASE_HEADER_BYTES;
      bytes = bytes.subarray(BASE_HEADER_BYTES);
    }
    // Bounded by the piece: every pass takes a unit off.
    for (let unit = unitAt(bytes); unit; unit = unitAt(bytes)) {
      if (offset < base.mapOffset) {
        const pgno = new ByteReader(unit, PGNO_OFFSET).uint32();
        visitor.onRecord(pgno, openRecord(base, { pgno, pageSize }, unit).page);
      } else {
        openPart(base, part++, unit, (pgno, location) => {
          if (location) visitor.onLocation(pgno, location);
        });
      }
      offset += unit.length;
      bytes = bytes.subarray(unit.length);
    }
  }
  if (bytes.length > 0 || part !== base.partSizes.length) refuseBundle("its base is incomplete");
  if (checksum.digest() !== base.checksum) refuseBundle("its base is not what its checksum says");
}

/** The unit that the bytes begin with; undefined when they do not reach its end. */
function unitAt(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length < UNIT_EXTRA_BYTES) return undefined;
  const length = new ByteReader(bytes).uint32() + UNIT_EXTRA_BYTES;
  return length <= bytes.length ? bytes.subarray(0, length) : undefined;
}

function joined(left: Uint8Array, right: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(left.length + right.length);
  whole.set(left);
  whole.set(right, left.length);
  return whole;
}
