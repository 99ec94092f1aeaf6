import { ReplicaError } from "../errors.ts";
import { PAGE_SIZE_MAX, PAGE_SIZE_MIN } from "../limits.ts";

/** Bytes at the start of page 1 that describe the database. */
export const DATABASE_HEADER_BYTES = 100;

const MAGIC = "SQLite format 3\0";
/** The byte that SQLite locks on; the page that holds it is never used. */
const LOCK_BYTE_OFFSET = 0x4000_0000;
const TEXT_ENCODINGS = ["utf8", "utf8", "utf16le", "utf16be"] as const;

export type TextEncoding = (typeof TEXT_ENCODINGS)[number];

/** Who may read or write a database file: 1 is a rollback journal, 2 is WAL. */
export type FormatVersion = 1 | 2;

/** What page 1 says of its database. */
export interface DatabaseHeader {
  /** In bytes. */
  readonly pageSize: number;
  /** 0 where the header does not know it (a version before SQLite 3.7 wrote last): go by the file. */
  readonly pageCount: number;
  readonly writeVersion: FormatVersion;
  readonly readVersion: FormatVersion;
  /** Bytes at each page's end that SQLite leaves alone. */
  readonly reservedBytes: number;
  readonly changeCounter: number;
  readonly schemaCookie: number;
  readonly textEncoding: TextEncoding;
  readonly autoVacuum: "none" | "full" | "incremental";
}

/** The number of the page that SQLite locks on and never uses. */
export function lockPgno(pageSize: number): number {
  return LOCK_BYTE_OFFSET / pageSize + 1;
}

/**
 * Reads the header of a database.
 *
 * @param bytes The start of page 1: 100 bytes or more.
 * @throws {ReplicaError} `SOURCE_INVALID` when these are not the first bytes of a SQLite database
 *   that we can read.
 * @see https://www.sqlite.org/fileformat2.html#the_database_header
 */
export function parseDatabaseHeader(bytes: Uint8Array): DatabaseHeader {
  if (bytes.length === 0) {
    refuse("the database is empty: it gets its first page when its first table is created");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!startsWithMagic(bytes)) {
    refuse(
      "this is not a SQLite database, or it is encrypted: it does not begin with " +
        '"SQLite format 3". An encrypted database cannot be read without its key',
    );
  }
  if (bytes.length < DATABASE_HEADER_BYTES) {
    refuse(`the database has ${bytes.length} bytes, less than its header takes: it is damaged`);
  }
  const pageSize = readPageSize(view);
  const changeCounter = view.getUint32(24);
  const isCountKnown = view.getUint32(92) === changeCounter;
  return {
    pageSize,
    pageCount: isCountKnown ? view.getUint32(28) : 0,
    writeVersion: readFormatVersion(view, 18),
    readVersion: readFormatVersion(view, 19),
    reservedBytes: view.getUint8(20),
    changeCounter,
    schemaCookie: view.getUint32(40),
    textEncoding: readTextEncoding(view),
    autoVacuum: readAutoVacuum(view),
  };
}

function startsWithMagic(bytes: Uint8Array): boolean {
  if (bytes.length < MAGIC.length) return false;
  for (let i = 0; i < MAGIC.length; i++) if (bytes[i] !== MAGIC.charCodeAt(i)) return false;
  return true;
}

function readPageSize(view: DataView): number {
  // 65,536 does not fit two bytes and is written as 1.
  const stored = view.getUint16(16);
  const pageSize = stored === 1 ? PAGE_SIZE_MAX : stored;
  if (pageSize >= PAGE_SIZE_MIN && (pageSize & (pageSize - 1)) === 0) return pageSize;
  return refuse(
    `the database's page size of ${pageSize} is not a power of two from ${PAGE_SIZE_MIN} to ` +
      `${PAGE_SIZE_MAX}: its header is damaged, or it is encrypted`,
  );
}

function readFormatVersion(view: DataView, offset: number): FormatVersion {
  const version = view.getUint8(offset);
  if (version === 1 || version === 2) return version;
  return refuse(
    `the database's format version ${version} is not known here: a newer SQLite wrote it, or its ` +
      "header is damaged",
  );
}

function readTextEncoding(view: DataView): TextEncoding {
  const code = view.getUint32(56);
  return (
    TEXT_ENCODINGS[code] ??
    refuse(`the database's text encoding ${code} is none of SQLite's: its header is damaged`)
  );
}

function readAutoVacuum(view: DataView): DatabaseHeader["autoVacuum"] {
  if (view.getUint32(52) === 0) return "none";
  return view.getUint32(64) === 0 ? "full" : "incremental";
}

function refuse(what: string): never {
  throw new ReplicaError("SOURCE_INVALID", what);
}
