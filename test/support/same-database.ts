import { readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { expect } from "vitest";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { streamDatabase } from "../../shared/replica/page-stream.ts";
import type { RestoreTarget } from "../../shared/replica/restore-plan.ts";
import { openSnapshot } from "../../shared/replica/snapshot.ts";
import { contentOf } from "./database-equality.ts";
import { differingPages } from "./live-database.ts";

/** Runs `sql` as an application would: in a connection that leaves nothing behind. */
export function write(path: string, sql: string): void {
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
}

/** A database of some 150 pages, with an index and text that does not compress to nothing. */
export function createOrders(path: string): void {
  write(
    path,
    `PRAGMA journal_mode = WAL; CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT, body TEXT);
     CREATE INDEX orders_note ON orders (note);
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
       INSERT INTO orders SELECT i, 'note ' || i % 50, hex(randomblob(100)) FROM n`,
  );
}

/** The bytes of a database that nobody has open, with all of its log in them. */
export function wholeFile(path: string): Buffer {
  write(path, "PRAGMA wal_checkpoint(TRUNCATE)");
  return readFileSync(path);
}

/**
 * Expects that a restored database is sound, that its rows are those of `path`, and that its pages are, but for
 * free ones. Nobody has `path` open.
 */
export function expectSameDatabase(restored: string, path: string): void {
  const expected = wholeFile(path);
  const pageSize = expected.readUInt16BE(16) === 1 ? 65_536 : expected.readUInt16BE(16);
  expect(differingPages(readFileSync(restored), expected, pageSize)).toEqual([]);
  const content = contentOf(restored);
  expect(content.integrity).toBe("ok");
  expect(content).toEqual(contentOf(path));
}

/** The whole database as the Worker reads it: planned, opened and streamed out of the replica. */
export async function readAsWorker(replica: Replica, target: RestoreTarget): Promise<Buffer> {
  const snapshot = await openSnapshot(replica, target);
  return Buffer.concat(await Array.fromAsync(streamDatabase(snapshot)));
}
