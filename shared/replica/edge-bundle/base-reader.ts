/** Parts of a base, read one by one. */
import type { Replica } from "../ltx-key.ts";
import { BASE_HEADER_BYTES, BASE_MAGIC } from "./base-writer.ts";
import type { BaseReference } from "./bundle-format.ts";
import { formatBaseKey } from "./bundle-keys.ts";
import { decodeRecord, type BundleRecord } from "./bundle-record.ts";
import { ByteReader, refuseBundle } from "./byte-reader.ts";
import { LocationDecoder, type UnitPlace, type VerifiableLocation } from "./location-coding.ts";
import { openUnit } from "./sealed-unit.ts";

/** Where a base's header has its id, in bytes. */
const ID_OFFSET = BASE_HEADER_BYTES - 8;

/** Whether the object that a head names is there, by its size and its first bytes: one small read. */
export async function isBaseThere(
  replica: Replica,
  base: BaseReference,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const range = { offset: 0, length: BASE_HEADER_BYTES };
  const stored = await replica.store.get(formatBaseKey(replica, base), { range, signal });
  if (stored?.totalBytes !== base.sizeBytes) return false;
  const header = new ByteReader(stored.bytes);
  return (
    header.uint64() === BASE_MAGIC && new ByteReader(stored.bytes, ID_OFFSET).uint64() === base.id
  );
}

/** The bytes of a part; undefined when the base is gone. They are not checked yet. */
export async function readUnit(
  replica: Replica,
  base: BaseReference,
  { offset, size }: UnitPlace,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | undefined> {
  const range = { offset, length: size };
  return (await replica.store.get(formatBaseKey(replica, base), { range, signal }))?.bytes;
}

/**
 * A record out of its part of the base.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` when it is damaged.
 */
export function openRecord(
  { id, fileCount }: BaseReference,
  { pgno, pageSize }: { readonly pgno: number; readonly pageSize: number },
  unit: Uint8Array,
): BundleRecord {
  const content = openUnit({ id, kind: "record", number: pgno }, unit);
  const record = decodeRecord(content, { pageSize, fileCount });
  if (record.pgno === pgno) return record;
  return refuseBundle(`its record of page ${pgno} holds page ${record.pgno}`);
}

/** The number of the part of the map that has a page, and where it lies. */
export function partOf(
  { mapOffset, partPages, partSizes }: BaseReference,
  pgno: number,
): { readonly number: number; readonly place: UnitPlace } {
  const number = Math.floor((pgno - 1) / partPages);
  let offset = mapOffset;
  for (let part = 0; part < number; part++) offset += partSizes[part];
  return { number, place: { offset, size: partSizes[number] } };
}

/**
 * Calls `visit` with each page of a part of the map, and where it lies.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` when it is damaged: nothing was visited then.
 */
export function openPart(
  { id, commit, fileCount, partPages }: BaseReference,
  number: number,
  unit: Uint8Array,
  visit: (pgno: number, location: VerifiableLocation | null) => void,
): void {
  const reader = new ByteReader(openUnit({ id, kind: "map", number }, unit));
  const locations = new LocationDecoder(reader, fileCount);
  const first = number * partPages + 1;
  const count = Math.min(partPages, commit - first + 1);
  const found = Array.from({ length: count }, () => locations.read());
  reader.end();
  for (const [index, location] of found.entries()) visit(first + index, location);
}
