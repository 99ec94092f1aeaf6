/**
 * Reads a bundle by nothing but `docs/edge-bundle.md`, apart from the code that Eddy reads it with: what
 * the page says is what is stored.
 */
import { Crc64 } from "../../shared/ltx/checksum.ts";

export interface BookLocation {
  readonly file: number;
  readonly offset: number;
  readonly size: number;
  readonly checksum: number;
}

interface BookPlace {
  readonly offset: number;
  readonly size: number;
}

class Cursor {
  offset = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes);
  }

  take(length: number): Buffer {
    this.offset += length;
    return this.#bytes.subarray(this.offset - length, this.offset);
  }

  u16 = () => this.take(2).readUInt16BE();
  u32 = () => this.take(4).readUInt32BE();
  u64 = () => this.take(8).readBigUInt64BE();

  uvarint(): number {
    let value = 0;
    for (let unit = 1; ; unit *= 128) {
      const [byte] = this.take(1);
      value += (byte % 128) * unit;
      if (byte < 128) return value;
    }
  }

  signed(): number {
    const value = this.uvarint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}

/** "A run of locations". */
function locationRun(cursor: Cursor): () => BookLocation | null {
  let file = 0;
  const ends: number[] = [];
  return () => {
    const size = cursor.uvarint();
    if (size === 0) return null;
    const control = cursor.uvarint();
    let jump = 0;
    if (control % 2 === 1) {
      const value = (control - 1) / 2;
      jump = value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    } else if (control !== 0) {
      file = control / 2 - 1;
      jump = cursor.signed();
    }
    const offset = (ends[file] ?? 0) + jump;
    ends[file] = offset + size;
    return { file, offset, size, checksum: cursor.u32() };
  };
}

/** "A run of records' places". */
function placeRun(cursor: Cursor): () => BookPlace | null {
  let end = 0;
  return () => {
    const size = cursor.uvarint();
    if (size === 0) return null;
    const offset = end + cursor.signed();
    end = offset + size;
    return { offset, size };
  };
}

/** "A record"; the page stays compressed, so the number of its children comes from whoever knows it. */
export function readRecord(bytes: Uint8Array, childrenOf: (pgno: number) => number) {
  const cursor = new Cursor(bytes);
  const kind = cursor.uvarint();
  const pgno = cursor.u32();
  const flags = cursor.u16();
  const block = cursor.take(cursor.u32());
  const next = locationRun(cursor);
  const location = next();
  const count = kind === 0 ? 0 : childrenOf(pgno);
  const children = Array.from({ length: count }, () => next());
  const place = placeRun(cursor);
  const places = kind === 2 ? Array.from({ length: count }, () => place()) : [];
  const isAtEnd = cursor.offset === bytes.length;
  return { kind, pgno, flags, blockBytes: block.length, location, children, places, isAtEnd };
}

/** "The head, byte for byte". */
export function readHead(bytes: Uint8Array) {
  const cursor = new Cursor(bytes);
  const magic = cursor.take(8).toString("latin1");
  const version = cursor.u32();
  const [pageSize, commit, txid] = [cursor.u32(), cursor.u32(), cursor.u64()];
  const timestampMs = cursor.uvarint();
  const files = Array.from({ length: cursor.uvarint() }, () => ({
    level: cursor.uvarint(),
    minTxid: cursor.u64(),
    maxTxid: cursor.u64(),
    sizeBytes: cursor.uvarint(),
    stampMs: cursor.uvarint(),
    fileChecksum: cursor.u64(),
    etag: cursor.take(cursor.uvarint()).toString("utf8"),
  }));
  const base = {
    txid: cursor.u64(),
    id: cursor.u64(),
    commit: cursor.u32(),
    fileCount: cursor.uvarint(),
    sizeBytes: cursor.uvarint(),
    checksum: cursor.u64(),
    mapOffset: cursor.uvarint(),
  };
  // Databases of the tests are small: one part covers 1,024 pages.
  const partSizes = Array.from({ length: Math.ceil(base.commit / 1_024) }, () => cursor.uvarint());
  const delta = readNumbered(cursor, () => undefined);
  const place = placeRun(cursor);
  const roots = readNumbered(cursor, place);
  const sizes = Array.from({ length: cursor.uvarint() }, () => [
    cursor.uvarint(),
    cursor.uvarint(),
  ]);
  const records = sizes.map(([pgno, size]) => ({ pgno, bytes: cursor.take(size) }));
  const end = cursor.offset;
  const isSound = cursor.u64() === new Crc64().update(bytes.subarray(0, end)).digest();
  const isAtEnd = cursor.offset === bytes.length;
  return {
    magic,
    version,
    pageSize,
    commit,
    txid,
    timestampMs,
    files,
    base,
    partSizes,
    delta,
    roots,
    records,
    isSound,
    isAtEnd,
  };
}

function readNumbered<More>(cursor: Cursor, more: () => More) {
  const next = locationRun(cursor);
  let pgno = 0;
  return Array.from({ length: cursor.uvarint() }, () => {
    pgno += cursor.uvarint();
    return { pgno, location: next(), more: more() };
  });
}

/** "The base, byte for byte": its units, each held against its checksum. */
export function readBase(bytes: Uint8Array, mapOffset: number) {
  const cursor = new Cursor(bytes);
  const magic = cursor.take(8).toString("latin1");
  const version = cursor.u32();
  const [pageSize, commit, txid, id] = [cursor.u32(), cursor.u32(), cursor.u64(), cursor.u64()];
  const records: { pgno: number; offset: number; size: number; content: Buffer }[] = [];
  const parts: Buffer[] = [];
  while (cursor.offset < bytes.length - 8) {
    const offset = cursor.offset;
    const content = cursor.take(cursor.u32());
    const isRecord = offset < mapOffset;
    const number = isRecord ? content.readUInt32BE(1) : parts.length;
    const name = Buffer.alloc(16);
    name.writeBigUInt64BE(id, 0);
    name.writeUInt32BE(isRecord ? 1 : 2, 8);
    name.writeUInt32BE(number, 12);
    const seal = cursor.u64();
    if (seal !== new Crc64().update(name).update(content).digest()) {
      throw new Error(`the unit at ${offset} is not sound`);
    }
    if (isRecord) records.push({ pgno: number, offset, size: cursor.offset - offset, content });
    else parts.push(content);
  }
  const checksum = new Crc64().update(bytes.subarray(0, cursor.offset)).digest();
  const isSound = cursor.u64() === checksum;
  return { magic, version, pageSize, commit, txid, id, records, parts, checksum, isSound };
}

/** A part of the map: so many locations. */
export function readPart(content: Uint8Array, count: number): (BookLocation | null)[] {
  const next = locationRun(new Cursor(content));
  return Array.from({ length: count }, () => next());
}
