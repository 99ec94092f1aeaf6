/** A database in a folder of its own, written by this process, and what SQLite sees in it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { SourceDatabase } from "../../replicator/source/source-database.ts";

export interface LiveDatabaseOptions {
  readonly pageSize?: number;
  readonly autoVacuum?: number;
  /** Pages that the application keeps in memory: with few it writes to the log before it commits. */
  readonly cachePages?: number;
}

export interface LiveDatabase extends Disposable {
  readonly folder: string;
  readonly path: string;
  readonly pageSize: number;
  /** The application's connection. */
  readonly app: DatabaseSync;
  exec(sql: string): void;
  /** The first value of the first row. */
  value(sql: string): unknown;
}

/** Makes a database in WAL mode with one table; its log is checkpointed only when a test asks for it. */
export function createLiveDatabase({
  pageSize = 512,
  autoVacuum = 0,
  cachePages = 200,
}: LiveDatabaseOptions = {}): LiveDatabase {
  const folder = mkdtempSync(join(tmpdir(), "eddy-live-"));
  const path = join(folder, "app.db");
  const app = new DatabaseSync(path);
  app.exec(
    `PRAGMA page_size = ${pageSize}; PRAGMA auto_vacuum = ${autoVacuum}; PRAGMA journal_mode = WAL;
     PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = ${cachePages}; PRAGMA synchronous = OFF;
     CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)`,
  );
  return {
    folder,
    path,
    pageSize,
    app,
    exec: (sql) => app.exec(sql),
    value: (sql) => Object.values(app.prepare(sql).get() ?? {})[0],
    [Symbol.dispose]() {
      if (app.isOpen) app.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/**
 * The database's file as a checkpoint of everything committed would leave it. SQLite itself says so,
 * on a copy: the live files are neither changed nor opened, which would drop this process' locks.
 */
export function imageNow(source: SourceDatabase): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "eddy-image-"));
  const copy = join(folder, "copy.db");
  try {
    const runs = source.pageRuns();
    const pages = Array.from({ length: source.pageCountOnDisk() }, (_, i) =>
      runs.read(i + 1).slice(),
    );
    writeFileSync(copy, Buffer.concat(pages));
    writeFileSync(`${copy}-wal`, readFileSync(source.walPath));
    const database = new DatabaseSync(copy);
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    database.close();
    return readFileSync(copy);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * The numbers of the pages in which two files differ, but for those that hold nothing: SQLite never
 * reads the leaves of the free list, and need not write them.
 */
export function differingPages(actual: Buffer, expected: Buffer, pageSize: number): number[] {
  const unused = freeLeaves(expected, pageSize);
  const count = Math.max(actual.length, expected.length) / pageSize;
  const pageOf = (image: Buffer, pgno: number) =>
    image.subarray((pgno - 1) * pageSize, pgno * pageSize);
  return Array.from({ length: count }, (_, index) => index + 1)
    .filter((pgno) => !unused.has(pgno) || pgno * pageSize > expected.length)
    .filter((pgno) => !pageOf(actual, pgno).equals(pageOf(expected, pgno)));
}

function freeLeaves(image: Buffer, pageSize: number): Set<number> {
  const leaves = new Set<number>();
  for (let trunk = image.readUInt32BE(32); trunk !== 0;) {
    const offset = (trunk - 1) * pageSize;
    const count = image.readUInt32BE(offset + 4);
    for (let i = 0; i < count; i++) leaves.add(image.readUInt32BE(offset + 8 + 4 * i));
    trunk = image.readUInt32BE(offset);
  }
  return leaves;
}
