/** Parts of a base that are fetched one by one: each says by itself whether it is sound, and whose. */
import { Crc64 } from "../../ltx/checksum.ts";
import { refuseBundle } from "./byte-reader.ts";

const SEAL_BYTES = 8;

/** What a part is: the record of a page, or one part of the page map, numbered from 0. */
export interface UnitName {
  /** The base's. */
  readonly id: bigint;
  readonly kind: "record" | "map";
  readonly number: number;
}

/** `content` with its checksum behind it, which covers its name too. */
export function sealUnit(name: UnitName, content: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(content.length + SEAL_BYTES);
  sealed.set(content);
  new DataView(sealed.buffer).setBigUint64(content.length, checksumOf(name, content));
  return sealed;
}

/**
 * The content of a part, as a view.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` when it is damaged, or is another part or another base's.
 */
export function openUnit(name: UnitName, sealed: Uint8Array): Uint8Array {
  const end = sealed.length - SEAL_BYTES;
  if (end < 0) return refuseBundle(`${name.kind} ${name.number} has ${sealed.length} bytes`);
  const content = sealed.subarray(0, end);
  const stored = new DataView(sealed.buffer, sealed.byteOffset + end).getBigUint64(0);
  if (stored === checksumOf(name, content)) return content;
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
