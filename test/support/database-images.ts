/** Databases made by the real SQLite, as the bytes of their files after each of a few transactions. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

export interface DatabaseImages {
  readonly pageSize: number;
  /** The file after each transaction, in base64: what crosses from Node into workerd is JSON. */
  readonly versions: readonly string[];
}

export interface DatabaseScript {
  readonly pageSize?: number;
  readonly encoding?: "UTF-8" | "UTF-16le";
  /** The SQL of each transaction; the first also makes the schema. */
  readonly transactions: readonly string[];
}

/** Runs `script` on a new database in WAL mode and keeps the file as it is after each transaction. */
export function makeDatabaseImages({
  pageSize = 4096,
  encoding = "UTF-8",
  transactions,
}: DatabaseScript): DatabaseImages {
  const folder = mkdtempSync(join(tmpdir(), "eddy-images-"));
  const path = join(folder, "image.db");
  try {
    // A module that no build has can only be written into the schema.
    const database = new DatabaseSync(path, { defensive: false });
    database.exec(`PRAGMA page_size = ${pageSize}; PRAGMA encoding = '${encoding}'`);
    database.exec("PRAGMA journal_mode = WAL");
    const versions = transactions.map((sql) => {
      database.exec(`BEGIN; ${sql}; COMMIT; PRAGMA wal_checkpoint(TRUNCATE)`);
      return readFileSync(path).toString("base64");
    });
    database.close();
    return { pageSize, versions };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
