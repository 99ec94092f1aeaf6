/** The pages of `sqlite_schema`, and the roots of the B-trees that it names. */
import { ReplicaError } from "../../errors.ts";
import { btreePageKind, childPgnos, leafCellOffsets } from "../../sqlite/btree-page.ts";
import { parseDatabaseHeader } from "../../sqlite/database-header.ts";
import { joinChunks } from "../../storage/bytes.ts";

/** Columns of `sqlite_schema` before the root: type, name, table's name. */
const COLUMNS_BEFORE_ROOT = 3;
const NAME_COLUMN = 1;
/** In a database whose texts are UTF-16 they are not known by it, and read when they are needed. */
const STATISTICS = /^sqlite_stat[134]$/;
/** Size of each serial type's value in bytes, from 0 to 9; longer ones say it themselves. */
const SERIAL_BYTES = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0] as const;

export interface SchemaPages {
  /** Page 1 first, then as SQLite reads them: interior pages, leaves, what overflows. */
  readonly pgnos: readonly number[];
  /** Ascending. */
  readonly roots: readonly number[];
  /** Roots of the tables that ANALYZE fills: SQLite reads all of them with the schema. */
  readonly statistics: readonly number[];
}

/**
 * Walks the schema's own B-tree, which begins on page 1.
 *
 * @param read Gives a page of the database.
 * @throws {ReplicaError} `CORRUPT_PAGE` when page 1 is that of no database.
 */
export async function readSchemaPages(
  read: (pgno: number) => Promise<Uint8Array>,
  commit: number,
): Promise<SchemaPages> {
  const usable = usableBytes(await read(1));
  const seen = new Set<number>([1]);
  const roots = new Set<number>();
  const statistics = new Set<number>();
  const isNew = (pgno: number) => pgno > 1 && pgno <= commit && !seen.has(pgno);
  const queue = [1];
  // Bounded by the database: every page is queued once.
  for (const pgno of queue) {
    const page = await read(pgno);
    const kind = btreePageKind(pgno, page);
    for (const child of childPgnos(pgno, page) ?? []) {
      if (!isNew(child)) continue;
      seen.add(child);
      queue.push(child);
    }
    if (kind !== "table-leaf") continue;
    for (const offset of leafCellOffsets(pgno, page) ?? []) {
      const payload = localPayload(page, offset, usable);
      if (!payload) continue;
      const parts = [payload.bytes];
      // Bounded: an overflow page is read once.
      for (let next = payload.overflow; isNew(next);) {
        seen.add(next);
        const overflow = await read(next);
        parts.push(overflow.subarray(4, usable));
        next = new DataView(overflow.buffer, overflow.byteOffset).getUint32(0);
      }
      const { name, root } = entryOf(joinChunks(parts));
      if (root <= 1 || root > commit) continue;
      roots.add(root);
      if (STATISTICS.test(name)) statistics.add(root);
    }
  }
  return {
    pgnos: [...seen],
    roots: [...roots].toSorted((a, b) => a - b),
    statistics: [...statistics],
  };
}

function usableBytes(page1: Uint8Array): number {
  try {
    const { pageSize, reservedBytes } = parseDatabaseHeader(page1);
    return pageSize - reservedBytes;
  } catch (cause) {
    const sentence = `page 1 is not that of a database: ${(cause as Error).message}`;
    throw new ReplicaError("CORRUPT_PAGE", sentence, { cause });
  }
}

/** SQLite's own varint, big-endian, at most nine bytes; undefined beyond the end. */
function readVarint(bytes: Uint8Array, start: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let index = 0; index < 9; index++) {
    const byte = bytes[start + index];
    if (byte === undefined) return undefined;
    if (index === 8) return { value: value * 256 + byte, end: start + 9 };
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) return { value, end: start + index + 1 };
  }
  return undefined;
}

/** What a cell of a table's leaf holds of its payload, and the page on which that goes on. */
function localPayload(
  page: Uint8Array,
  offset: number,
  usable: number,
): { readonly bytes: Uint8Array; readonly overflow: number } | undefined {
  const size = readVarint(page, offset);
  const rowid = size && readVarint(page, size.end);
  if (!rowid) return undefined;
  const localMax = usable - 35;
  const localMin = Math.floor(((usable - 12) * 32) / 255) - 23;
  if (size.value <= localMax) {
    return { bytes: page.subarray(rowid.end, rowid.end + size.value), overflow: 0 };
  }
  const surplus = localMin + ((size.value - localMin) % (usable - 4));
  const end = rowid.end + (surplus <= localMax ? surplus : localMin);
  if (end + 4 > page.length) return undefined;
  const overflow = new DataView(page.buffer, page.byteOffset).getUint32(end);
  return { bytes: page.subarray(rowid.end, end), overflow };
}

/** The values of the columns `name` and `rootpage`: no text and 0 where there are none. */
function entryOf(record: Uint8Array): { readonly name: string; readonly root: number } {
  const nothing = { name: "", root: 0 };
  const header = readVarint(record, 0);
  if (!header) return nothing;
  let name = "";
  let position = header.end;
  let value = header.value;
  for (let column = 0; column <= COLUMNS_BEFORE_ROOT; column++) {
    const type = readVarint(record, position);
    if (!type) return nothing;
    position = type.end;
    if (column === COLUMNS_BEFORE_ROOT) {
      return { name, root: readInteger(record, value, type.value) };
    }
    const start = value;
    value += type.value < 12 ? (SERIAL_BYTES[type.value] ?? 0) : Math.floor((type.value - 12) / 2);
    if (column === NAME_COLUMN) name = new TextDecoder().decode(record.subarray(start, value));
  }
  return nothing;
}

function readInteger(record: Uint8Array, offset: number, type: number): number {
  if (type === 9) return 1;
  if (type < 1 || type > 6) return 0;
  let value = 0;
  for (let index = 0; index < SERIAL_BYTES[type]; index++) {
    value = value * 256 + (record[offset + index] ?? 0);
  }
  return value;
}
