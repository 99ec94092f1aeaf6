/**
 * The pages that SQLite reads for a query, in their order. The real engine reads them: sql.js, out of
 * a file that writes down where it is read, on a connection that is set up as the Worker's are.
 */
import initSqlJs, { type Database } from "sql.js";

export interface TracedDatabase {
  readonly pageSize: number;
  readonly pageCount: number;
  page(pgno: number): Uint8Array;
  /** The pages that a new connection reads: page 1 and the schema. */
  readonly opening: readonly number[];
  /** Runs a query on a new connection, which has read the schema and nothing else. */
  trace(sql: string): number[];
  /** Runs queries one after the other on one connection; the pages of the last one that its cache lacks. */
  traceWarm(...sql: string[]): number[];
}

const { Database: SqlJsDatabase } = await initSqlJs();

export function tracedDatabase(bytes: Uint8Array): TracedDatabase {
  const stored = new DataView(bytes.buffer, bytes.byteOffset).getUint16(16);
  const pageSize = stored === 1 ? 65_536 : stored;
  const read: number[] = [];
  function traceLast(queries: readonly string[]): number[] {
    const database: Database = new SqlJsDatabase(watchedFile(bytes, pageSize, read));
    const cacheKib = Math.max(256, (pageSize * 8) / 1024);
    database.exec(`PRAGMA temp_store = 2; PRAGMA cache_size = -${cacheKib}`);
    database.exec("SELECT count(*) FROM sqlite_schema WHERE name = ''");
    for (const sql of queries) {
      read.length = 0;
      database.exec(sql);
    }
    database.close();
    return [...read];
  }
  return {
    pageSize,
    pageCount: bytes.length / pageSize,
    opening: [...new Set(traceLast([]))],
    page: (pgno) => bytes.subarray((pgno - 1) * pageSize, pgno * pageSize),
    trace: (sql) => traceLast([sql]),
    traceWarm: (...sql) => traceLast(sql),
  };
}

/** As much of an array as sql.js takes for a file. */
function watchedFile(bytes: Uint8Array, pageSize: number, read: number[]): Uint8Array {
  const file = {
    length: bytes.length,
    slice: () => file,
    subarray(begin: number, end: number) {
      // The Worker keeps the header of page 1 and answers from it.
      if (end > 100) read.push(Math.floor(begin / pageSize) + 1);
      return bytes.subarray(begin, end);
    },
  };
  return file as unknown as Uint8Array;
}
