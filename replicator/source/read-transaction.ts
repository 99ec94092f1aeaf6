import type { DatabaseSync } from "node:sqlite";

/** Begins a transaction that reads what is committed now. */
export function beginReading(connection: DatabaseSync): void {
  connection.exec("BEGIN");
  connection.prepare("SELECT 1 FROM sqlite_schema").get();
}

/** Committed frames in the log, as SQLite itself says. */
export function countFrames(connection: DatabaseSync): number {
  return Number(connection.prepare("PRAGMA wal_checkpoint(NOOP)").get()?.["log"]);
}
