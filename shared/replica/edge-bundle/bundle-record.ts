/** A page together with where its children lie: from a page to its child no map is read. */
import { decodePageFrame } from "../../ltx/page-frame.ts";
import { childPgnos } from "../../sqlite/btree-page.ts";
import { refuseBundle, ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { LocationTable } from "./location-table.ts";
import {
  LocationDecoder,
  LocationEncoder,
  UnitPlaceDecoder,
  UnitPlaceEncoder,
  type UnitPlace,
  type VerifiableLocation,
} from "./location-coding.ts";

const FRAME_HEAD_BYTES = 10;
const FRAME_SIZE_OFFSET = 6;

/** A page by itself, an interior page, one whose children are interior pages with records of their own. */
const PAGE = 0;
const INTERIOR = 1;
const INTERIOR_ABOVE_RECORDS = 2;

/** A child of an interior page. */
export interface RecordChild {
  readonly pgno: number;
  /** Null when no file holds it: the tree is damaged there. */
  readonly location: VerifiableLocation | null;
  /** Where the base has the child's own record. */
  readonly record?: UnitPlace | undefined;
}

export interface RecordToEncode {
  /** The page as a frame of an LTX file that holds an LZ4 block. */
  readonly frame: Uint8Array;
  /** Where it lies in the LTX files. */
  readonly location: VerifiableLocation;
  /** In the order in which the page names them; undefined for what is no interior page. */
  readonly children?: readonly RecordChild[] | undefined;
}

export interface BundleRecord {
  readonly pgno: number;
  readonly page: Uint8Array;
  readonly location: VerifiableLocation;
  /** A row for each child, in the order in which the page names them; none for what is no interior page. */
  readonly children: LocationTable;
  /** Where the base has the children's records, in the same order; empty where it has none. */
  readonly records: readonly (UnitPlace | undefined)[];
}

/** Encodes a record. */
export function encodeRecord({ frame, location, children }: RecordToEncode): Uint8Array {
  const writer = new ByteWriter();
  const isAboveRecords = children?.some(({ record }) => record) ?? false;
  writer.uvarint(children ? (isAboveRecords ? INTERIOR_ABOVE_RECORDS : INTERIOR) : PAGE);
  writer.bytes(frame);
  const locations = new LocationEncoder(writer);
  locations.write(location);
  for (const child of children ?? []) locations.write(child.location);
  if (isAboveRecords) {
    const places = new UnitPlaceEncoder(writer);
    for (const { record } of children ?? []) places.write(record);
  }
  return writer.finish();
}

/**
 * Decodes a record; that the page is what its location's checksum says, its user makes sure.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE`
 */
export function decodeRecord(
  bytes: Uint8Array,
  { pageSize, fileCount }: { readonly pageSize: number; readonly fileCount: number },
): BundleRecord {
  const reader = new ByteReader(bytes);
  const kind = reader.uvarintUpTo(INTERIOR_ABOVE_RECORDS, "a record's kind");
  const { pgno, page } = decodePageFrame(readFrame(reader, bytes), pageSize);
  const locations = new LocationDecoder(reader, fileCount);
  const location = locations.read();
  if (!location) return refuseBundle(`its record of page ${pgno} says no location`);
  const pgnos = kind === PAGE ? new Uint32Array() : childPgnos(pgno, page);
  if (!pgnos) return refuseBundle(`page ${pgno} of its records is no interior page`);
  const children = new LocationTable(pgnos.length);
  for (const child of pgnos) children.append(child, locations.next());
  const places = new UnitPlaceDecoder(reader);
  const count = kind === INTERIOR_ABOVE_RECORDS ? pgnos.length : 0;
  const records = Array.from({ length: count }, () => places.read());
  reader.end();
  return { pgno, page, location, children, records };
}

function readFrame(reader: ByteReader, bytes: Uint8Array): Uint8Array {
  const size = new ByteReader(bytes, reader.offset + FRAME_SIZE_OFFSET).uint32();
  return reader.bytes(FRAME_HEAD_BYTES + size);
}
