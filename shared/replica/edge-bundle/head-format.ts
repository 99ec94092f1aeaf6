/** The head of a bundle, read whole: what it holds as bytes. */
import { LEVEL_MAX, PAGE_SIZE_MAX, PAGE_SIZE_MIN } from "../../limits.ts";
import { Crc64 } from "../../ltx/checksum.ts";
import type { Txid } from "../../ltx/txid.ts";
import type { Etag } from "../../storage/object-store.ts";
import {
  BUNDLE_VERSION,
  partPagesOf,
  type BaseReference,
  type BundleFile,
  type BundleRoot,
  type BundleState,
  type HotRecord,
} from "./bundle-format.ts";
import { ByteReader, refuseBundle } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import {
  LocationDecoder,
  LocationEncoder,
  UnitPlaceDecoder,
  UnitPlaceEncoder,
  type UnitPlace,
} from "./location-coding.ts";
import { LocationTable } from "./location-table.ts";

/** "EDDYHEAD" */
const MAGIC = 0x4544445948454144n;
const PREFIX_BYTES = 12;
const CHECKSUM_BYTES = 8;
const PGNO_MAX = 0xffff_fffe;

/** Everything that a head holds. */
export interface HeadContent extends BundleState {
  /** Pages that are newer than the base. */
  readonly delta: LocationTable;
  /** Ascending. */
  readonly roots: readonly BundleRoot[];
  /** In the order of their worth. */
  readonly hot: readonly HotRecord[];
}

/** What became of the bytes of a head. */
export type HeadReading =
  | { readonly content: HeadContent }
  | { readonly content?: undefined; readonly reason: string };

/** Encodes a head. */
export function encodeHead(content: HeadContent): Uint8Array {
  const writer = new ByteWriter();
  writer.uint64(MAGIC);
  writer.uint32(BUNDLE_VERSION);
  writer.uint32(content.pageSize);
  writer.uint32(content.commit);
  writer.uint64(content.txid);
  writer.uvarint(content.timestampMs);
  writer.uvarint(content.files.length);
  for (const file of content.files) writeFile(writer, file);
  writeBase(writer, content.base);
  writeDelta(writer, content.delta);
  writeRoots(writer, content.roots);
  writer.uvarint(content.hot.length);
  for (const { pgno, bytes } of content.hot) {
    writer.uvarint(pgno);
    writer.uvarint(bytes.length);
  }
  for (const { bytes } of content.hot) writer.bytes(bytes);
  writer.uint64(new Crc64().update(writer.finish()).digest());
  return writer.finish();
}

/** What a delta takes of a head, in bytes. */
export function deltaSizeBytes(delta: LocationTable): number {
  const writer = new ByteWriter();
  writeDelta(writer, delta);
  return writer.length;
}

/** Decodes a head; one that is damaged, or of another version, is as good as none. */
export function decodeHead(bytes: Uint8Array): HeadReading {
  if (bytes.length < PREFIX_BYTES + CHECKSUM_BYTES) {
    return { reason: `it has ${bytes.length} bytes` };
  }
  const prefix = new ByteReader(bytes);
  if (prefix.uint64() !== MAGIC) return { reason: 'it does not begin with "EDDYHEAD"' };
  const version = prefix.uint32();
  const body = bytes.subarray(0, bytes.length - CHECKSUM_BYTES);
  const stored = new ByteReader(bytes, body.length).uint64();
  if (stored !== new Crc64().update(body).digest()) {
    return { reason: "it is not what its checksum says" };
  }
  if (version !== BUNDLE_VERSION) {
    return { reason: `it is of version ${version}, and ${BUNDLE_VERSION} is known here` };
  }
  try {
    return { content: readContent(new ByteReader(body, PREFIX_BYTES)) };
  } catch (error) {
    return { reason: (error as Error).message };
  }
}

function readContent(reader: ByteReader): HeadContent {
  const pageSize = reader.uint32();
  const isSize = pageSize >= PAGE_SIZE_MIN && pageSize <= PAGE_SIZE_MAX;
  if (!isSize || (pageSize & (pageSize - 1)) !== 0) refuseBundle(`a page size of ${pageSize}`);
  const commit = reader.uint32();
  const txid = readTxid(reader);
  const timestampMs = reader.uvarint();
  const fileCount = reader.uvarintUpTo(reader.remaining, "the number of files");
  const files = Array.from({ length: fileCount }, () => readFile(reader));
  const base = readBase(reader, fileCount);
  const delta = readDelta(reader, fileCount);
  const roots = readRoots(reader, fileCount);
  const hot = readHot(reader);
  reader.end();
  return { pageSize, commit, txid, timestampMs, files, base, delta, roots, hot };
}

function writeFile(writer: ByteWriter, file: BundleFile): void {
  const etag = new TextEncoder().encode(file.etag);
  writer.uvarint(file.level);
  writer.uint64(file.minTxid);
  writer.uint64(file.maxTxid);
  writer.uvarint(file.sizeBytes);
  writer.uvarint(file.timestampMs);
  writer.uint64(file.fileChecksum);
  writer.uvarint(etag.length);
  writer.bytes(etag);
}

function readFile(reader: ByteReader): BundleFile {
  const level = reader.uvarintUpTo(LEVEL_MAX, "a level");
  const minTxid = readTxid(reader);
  const maxTxid = readTxid(reader);
  const sizeBytes = reader.uvarint();
  const timestampMs = reader.uvarint();
  const fileChecksum = reader.uint64();
  const length = reader.uvarintUpTo(reader.remaining, "an ETag's length");
  const etag = new TextDecoder("utf-8", { fatal: true }).decode(reader.bytes(length)) as Etag;
  return { level, minTxid, maxTxid, sizeBytes, timestampMs, fileChecksum, etag };
}

function readTxid(reader: ByteReader): Txid {
  const txid = reader.uint64();
  return txid === 0n ? refuseBundle("a TXID of 0") : (txid as Txid);
}

function writeBase(writer: ByteWriter, base: BaseReference): void {
  writer.uint64(base.txid);
  writer.uint64(base.id);
  writer.uint32(base.commit);
  writer.uvarint(base.fileCount);
  writer.uvarint(base.sizeBytes);
  writer.uint64(base.checksum);
  writer.uvarint(base.mapOffset);
  for (const size of base.partSizes) writer.uvarint(size);
}

function readBase(reader: ByteReader, fileCount: number): BaseReference {
  const txid = readTxid(reader);
  const id = reader.uint64();
  const commit = reader.uint32();
  const baseFileCount = reader.uvarintUpTo(fileCount, "the number of the base's files");
  const sizeBytes = reader.uvarint();
  const checksum = reader.uint64();
  const mapOffset = reader.uvarint();
  const partPages = partPagesOf(commit);
  const partSizes = new Uint32Array(Math.ceil(commit / partPages));
  for (const index of partSizes.keys()) partSizes[index] = reader.uvarint();
  return {
    txid,
    id,
    commit,
    fileCount: baseFileCount,
    sizeBytes,
    checksum,
    mapOffset,
    partPages,
    partSizes,
  };
}

function writeDelta(writer: ByteWriter, delta: LocationTable): void {
  writer.uvarint(delta.length);
  const locations = new LocationEncoder(writer);
  let previous = 0;
  for (let index = 0; index < delta.length; index++) {
    const pgno = delta.pgnoAt(index);
    writer.uvarint(pgno - previous);
    locations.write(delta.rowAt(index));
    previous = pgno;
  }
}

function readDelta(reader: ByteReader, fileCount: number): LocationTable {
  const length = reader.uvarintUpTo(reader.remaining, "the number of newer pages");
  const delta = new LocationTable(length);
  const locations = new LocationDecoder(reader, fileCount);
  let pgno = 0;
  for (let index = 0; index < length; index++) {
    pgno = nextPgno(reader, pgno);
    delta.append(pgno, locations.read() ?? refuseBundle(`page ${pgno} is nowhere`));
  }
  return delta;
}

function writeRoots(writer: ByteWriter, roots: readonly BundleRoot[]): void {
  writer.uvarint(roots.length);
  const locations = new LocationEncoder(writer);
  const records = new UnitPlaceEncoder(writer);
  let previous = 0;
  for (const { pgno, location, record } of roots) {
    writer.uvarint(pgno - previous);
    locations.write(location);
    records.write(record);
    previous = pgno;
  }
}

function readRoots(reader: ByteReader, fileCount: number): BundleRoot[] {
  const length = reader.uvarintUpTo(reader.remaining, "the number of roots");
  const locations = new LocationDecoder(reader, fileCount);
  const records = new UnitPlaceDecoder(reader);
  let previous = 0;
  return Array.from({ length }, () => {
    const pgno = nextPgno(reader, previous);
    const location = locations.read() ?? refuseBundle(`root ${pgno} is nowhere`);
    const record: UnitPlace | undefined = records.read();
    previous = pgno;
    return { pgno, location, record };
  });
}

function nextPgno(reader: ByteReader, previous: number): number {
  const gap = reader.uvarintUpTo(PGNO_MAX - previous, "the way to the next page number");
  return gap === 0 ? refuseBundle(`page ${previous} twice`) : previous + gap;
}

function readHot(reader: ByteReader): HotRecord[] {
  const length = reader.uvarintUpTo(reader.remaining, "the number of records");
  const places = Array.from({ length }, () => ({
    pgno: reader.uvarintUpTo(PGNO_MAX, "a page number"),
    size: reader.uvarint(),
  }));
  return places.map(({ pgno, size }) => ({ pgno, bytes: reader.bytes(size) }));
}
