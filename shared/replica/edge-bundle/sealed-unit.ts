/** Parts of a base that are fetched one by one: each says by itself whether it is sound, and whose. */
import { Crc64 } from "../../ltx/checksum.ts";
import { refuseBundle } from "./byte-reader.ts";

/** How long the content is, before it; so that a base can be read from its beginning to its end. */
export const UNIT_LENGTH_BYTES = 4;
const SEAL_BYTES = 8;
/** What a unit has beside its content. */
export const UNIT_EXTRA_BYTES = UNIT_LENGTH_BYTES + SEAL_BYTES;

/** What a part is: the record of a page, or one part of the page map, numbered from 0. */
export interface UnitName {
  /** The base's. */
  readonly id: bigint;
  readonly kind: "record" | "map";
  readonly number: number;
}

/** `content` with its length before it and its checksum behind it, which covers its name too. */
export function sealUnit(name: UnitName, content: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(content.length + UNIT_EXTRA_BYTES);
  const view = new DataView(sealed.buffer);
  view.setUint32(0, content.length);
  sealed.set(content, UNIT_LENGTH_BYTES);
  view.setBigUint64(UNIT_LENGTH_BYTES + content.length, checksumOf(name, content));
  return sealed;
}

/**
 * The content of a part, as a view.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` when it is damaged, or is another part or another base's.
 */
export function openUnit(name: UnitName, sealed: Uint8Array): Uint8Array {
  const length = sealed.length - UNIT_EXTRA_BYTES;
  const view = new DataView(sealed.buffer, sealed.byteOffset, sealed.length);
  if (length < 0 || view.getUint32(0) !== length) {
    return refuseBundle(`${name.kind} ${name.number} has not the length that it says`);
  }
  const content = sealed.subarray(UNIT_LENGTH_BYTES, UNIT_LENGTH_BYTES + length);
  if (view.getBigUint64(UNIT_LENGTH_BYTES + length) === checksumOf(name, content)) return content;
  return refuseBundle(`${name.kind} ${name.number} of its base is not what its checksum says`);
}

function checksumOf({ id, kind, number }: UnitName, content: Uint8Array): bigint {
  const name = new Uint8Array(16);
  const view = new DataView(name.buffer);
  view.setBigUint64(0, id);
  view.setUint32(8, kind === "record" ? 1 : 2);
  view.setUint32(12, number);
  return new Crc64().update(name).update(content).digest();
}
