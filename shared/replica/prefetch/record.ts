/**
 * As much of SQLite's records as says where a row lies. The bytes may be anything: what cannot be read is
 * NaN or undefined.
 *
 * @see https://www.sqlite.org/fileformat2.html#record_format
 */
import { cellOffset, type TreePage, uint32 } from "./tree-page.ts";

/** One entry of an index; offsets are into the page's bytes. */
export interface IndexEntry {
  readonly bytes: Uint8Array;
  /** Of the row in its table. */
  readonly rowid: number;
  /** The types of the key's columns, without the rowid's. */
  readonly typesStart: number;
  readonly typesEnd: number;
  /** The values of the key's columns, without the rowid. */
  readonly valuesStart: number;
  readonly valuesEnd: number;
}

/** A table or an index that the schema names. */
export interface SchemaRow {
  readonly kind: "table" | "index";
  /** The table's name as it is stored: equal bytes are the same table. */
  readonly table: string;
  readonly rootPgno: number;
}

/** Bytes of integers by their serial type, from 0. */
const INTEGER_BYTES = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0] as const;
/** A table with a longer name goes without. */
const NAME_BYTES_MAX = 256;
const LETTER_I = 0x69;
const LETTER_T = 0x74;
/** Columns of an index and the rowid: SQLite's own bound is 2,000. */
const COLUMNS_MAX = 64;

/** Reads varints one after the other; past the end of the bytes it reads NaN. */
class VarintReader {
  readonly #bytes: Uint8Array;
  offset: number;

  constructor(bytes: Uint8Array, offset: number) {
    this.#bytes = bytes;
    this.offset = offset;
  }

  /** As SQLite has it: big-endian, the ninth byte whole, and signed. Rounded beyond 2^53. */
  next(): number {
    const start = this.offset;
    let value = 0;
    for (let index = 0; index < 8; index++) {
      const byte = this.#bytes[this.offset++];
      if (byte === undefined) return Number.NaN;
      value = value * 0x80 + (byte & 0x7f);
      if (byte < 0x80) return value;
    }
    // By halves of 32 bits: as one number a small negative one would be rounded away.
    const seven = [...this.#bytes.subarray(start, start + 8)].map((byte) => byte & 0x7f);
    const [b0, b1, b2, b3, b4, b5, b6, b7] = seven;
    const high = (b0 << 25) | (b1 << 18) | (b2 << 11) | (b3 << 4) | (b4 >> 3);
    const low = ((b4 << 29) | (b5 << 22) | (b6 << 15) | (b7 << 8) | this.#bytes[this.offset]) >>> 0;
    this.offset++;
    return high * 2 ** 32 + low;
  }
}

/**
 * One entry of an index's page. Undefined where it does not end with an integer, as those of a WITHOUT ROWID
 * table may not, or goes on in another page.
 *
 * @param usableBytes Bytes of the page that SQLite uses.
 */
export function indexEntryAt(
  page: TreePage,
  index: number,
  usableBytes: number,
): IndexEntry | undefined {
  const { bytes } = page;
  const reader = new VarintReader(bytes, cellOffset(page, index) + (page.isInterior ? 4 : 0));
  const payloadBytes = reader.next();
  const start = reader.offset;
  const end = start + payloadBytes;
  const localMax = Math.floor(((usableBytes - 12) * 64) / 255) - 23;
  if (!(payloadBytes <= localMax && end <= bytes.length)) return undefined;
  const valuesStart = start + reader.next();
  const typesStart = reader.offset;
  let lastStart = typesStart;
  let type = Number.NaN;
  for (let column = 0; column < COLUMNS_MAX && reader.offset < valuesStart; column++) {
    lastStart = reader.offset;
    type = reader.next();
  }
  if (reader.offset !== valuesStart || !(type >= 1 && type <= 9) || type === 7) return undefined;
  const valuesEnd = end - INTEGER_BYTES[type];
  if (valuesEnd < valuesStart) return undefined;
  const rowid = readInteger(bytes, valuesEnd, type);
  return { bytes, rowid, typesStart, typesEnd: lastStart, valuesStart, valuesEnd };
}

/** Says whether two entries have one key, whatever their rows. */
export function haveSameKey(a: IndexEntry, b: IndexEntry): boolean {
  return (
    areSame(a, b, { from: "typesStart", to: "typesEnd" }) &&
    areSame(a, b, { from: "valuesStart", to: "valuesEnd" })
  );
}

/** Says whether the first columns of two entries' keys are the same. */
export function haveSameFirstColumn(a: IndexEntry, b: IndexEntry): boolean {
  const typeOfA = new VarintReader(a.bytes, a.typesStart).next();
  const typeOfB = new VarintReader(b.bytes, b.typesStart).next();
  if (typeOfA !== typeOfB) return false;
  const size = valueBytes(typeOfA);
  // Bounded by the page, whatever the type says.
  if (!(a.valuesStart + size <= a.valuesEnd)) return false;
  for (let index = 0; index < size; index++) {
    if (a.bytes[a.valuesStart + index] !== b.bytes[b.valuesStart + index]) return false;
  }
  return true;
}

/** One row of the schema's table; undefined where it has no page of its own, as a view. */
export function schemaRowAt(
  page: TreePage,
  index: number,
  usableBytes: number,
): SchemaRow | undefined {
  const { bytes } = page;
  const reader = new VarintReader(bytes, cellOffset(page, index));
  const payloadBytes = reader.next();
  reader.next();
  const start = reader.offset;
  const end = Math.min(start + localBytes(payloadBytes, usableBytes), bytes.length);
  const kindAt = start + reader.next();
  const nameAt = kindAt + valueBytes(reader.next());
  const tableAt = nameAt + valueBytes(reader.next());
  const rootAt = tableAt + valueBytes(reader.next());
  const rootType = reader.next();
  if (!(rootType >= 1 && rootType <= 9 && rootAt + valueBytes(rootType) <= end)) return undefined;
  // In UTF-16 the letter is one of two bytes.
  const letter = bytes[kindAt] || bytes[kindAt + 1];
  const rootPgno = readInteger(bytes, rootAt, rootType);
  if (rootPgno < 1 || (letter !== LETTER_I && letter !== LETTER_T)) return undefined;
  if (rootAt - tableAt > NAME_BYTES_MAX) return undefined;
  const table = bytes.subarray(tableAt, rootAt).join(" ");
  return { kind: letter === LETTER_I ? "index" : "table", table, rootPgno };
}

/** Rowid that a cell of a table's interior page ends with: that of the last row below its child. */
export function lastRowidBelow(page: TreePage, index: number): number {
  return new VarintReader(page.bytes, cellOffset(page, index) + 4).next();
}

/** Where a row of a table's leaf goes on, and how far; undefined where it does not. */
export function overflowOf(
  page: TreePage,
  index: number,
  usableBytes: number,
): { readonly firstPgno: number; readonly pageCount: number } | undefined {
  if (page.isInterior || page.isIndex) return undefined;
  const reader = new VarintReader(page.bytes, cellOffset(page, index));
  const payloadBytes = reader.next();
  reader.next();
  const local = localBytes(payloadBytes, usableBytes);
  if (!(local < payloadBytes)) return undefined;
  const firstPgno = uint32(page.bytes, reader.offset + local);
  // Each page of the chain begins with the number of the next.
  return { firstPgno, pageCount: Math.ceil((payloadBytes - local) / (usableBytes - 4)) };
}

/** How much of a row of a table lies in its page. */
function localBytes(payloadBytes: number, usableBytes: number): number {
  const localMax = usableBytes - 35;
  if (payloadBytes <= localMax) return payloadBytes;
  const localMin = Math.floor(((usableBytes - 12) * 32) / 255) - 23;
  const local = localMin + ((payloadBytes - localMin) % (usableBytes - 4));
  return local <= localMax ? local : localMin;
}

/** Bytes of a value by its serial type. */
function valueBytes(type: number): number {
  return type >= 12 ? Math.floor((type - 12) / 2) : (INTEGER_BYTES[type] ?? Number.NaN);
}

function readInteger(bytes: Uint8Array, offset: number, type: number): number {
  if (type >= 8) return type - 8;
  const size = INTEGER_BYTES[type];
  let value = (bytes[offset] << 24) >> 24;
  for (let index = 1; index < size; index++) value = value * 0x100 + bytes[offset + index];
  return value;
}

function areSame(
  a: IndexEntry,
  b: IndexEntry,
  { from, to }: { from: "typesStart" | "valuesStart"; to: "typesEnd" | "valuesEnd" },
): boolean {
  const size = a[to] - a[from];
  if (size !== b[to] - b[from]) return false;
  for (let index = 0; index < size; index++) {
    if (a.bytes[a[from] + index] !== b.bytes[b[from] + index]) return false;
  }
  return true;
}
