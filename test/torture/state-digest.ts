import { createHash } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";

/** Holds one row a commit: what the rest of the database was then. */
export const LEDGER = "ledger";

/** How many of its last rows the writer keeps. */
export const LEDGER_ROWS = 100;

/**
 * A digest of all that a database holds but its ledger: schema, and every row of every table in the order of
 * its key. Two states with one digest are the same to whoever reads them.
 */
export function digestOf(database: DatabaseSync): string {
  const hash = createHash("sha1");
  const schema = database
    .prepare(
      `SELECT type, name, sql FROM sqlite_schema
       WHERE name <> '${LEDGER}' AND name NOT LIKE '\\_litestream\\_%' ESCAPE '\\' ORDER BY name`,
    )
    .all();
  for (const { type, name, sql } of schema) {
    hash.update(`${String(type)} ${String(name)} ${String(sql)}\n`);
    if (type !== "table") continue;
    const rows = database.prepare(`SELECT id, body FROM "${String(name)}" ORDER BY id`);
    for (const row of rows.iterate()) {
      hash.update(`${String(row["id"])}:`);
      hash.update((row["body"] ?? "null") as string | Uint8Array);
    }
  }
  return hash.digest("hex");
}

/** One row of the ledger. */
export interface LedgerRow {
  /** Counts the commits, from 1. */
  readonly commit: number;
  readonly digest: string;
}

/** The ledger, newest first; empty where there is none. */
export function readLedger(database: DatabaseSync): LedgerRow[] {
  const there = database
    .prepare("SELECT 1 FROM sqlite_schema WHERE name = ? AND type = 'table'")
    .get(LEDGER);
  if (!there) return [];
  return database
    .prepare(`SELECT id, digest FROM ${LEDGER} ORDER BY id DESC`)
    .all()
    .map(({ id, digest }) => ({ commit: Number(id), digest: String(digest) }));
}
