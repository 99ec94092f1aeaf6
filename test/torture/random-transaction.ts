import type { DatabaseSync } from "node:sqlite";
import type { Random } from "../../tools/demo/random.ts";

/** Rows of the tables t0 to t3. The body is a blob, so that pages differ in every byte. */
const TABLES = ["t0", "t1", "t2", "t3"] as const;
const ROWS_MAX = 250;
/** Keeps a round short: digests and images are made of the whole database. In bytes. */
const DATABASE_BYTES_MAX = 3_000_000;

/** Makes what `runTransaction` writes to. */
export function createSchema(database: DatabaseSync): void {
  database.exec(
    `CREATE TABLE t0 (id INTEGER PRIMARY KEY, body BLOB);
     CREATE TABLE t1 (id TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID;
     CREATE TABLE t2 (id INTEGER PRIMARY KEY, body BLOB);
     CREATE INDEX t2_body ON t2 (body)`,
  );
}

/** Changes what it likes, savepoints among it, inside a transaction that the caller began. */
export function runTransaction(database: DatabaseSync, random: Random): void {
  if (isTooLarge(database)) shrink(database, random);
  const steps = 1 + random.below(6);
  for (let step = 0; step < steps; step++) {
    if (random.below(4) > 0) {
      change(database, random);
      continue;
    }
    database.exec("SAVEPOINT inner");
    for (let inner = random.below(4); inner >= 0; inner--) change(database, random);
    if (random.below(2) === 0) database.exec("ROLLBACK TO inner");
    if (random.below(3) === 0) change(database, random);
    database.exec("RELEASE inner");
  }
}

function isTooLarge(database: DatabaseSync): boolean {
  const pages = Number(database.prepare("PRAGMA page_count").get()?.["page_count"]);
  const pageBytes = Number(database.prepare("PRAGMA page_size").get()?.["page_size"]);
  return pages * pageBytes > DATABASE_BYTES_MAX;
}

/** Leaves free pages behind, at the end of the file and everywhere else, or gives some back. */
function shrink(database: DatabaseSync, random: Random): void {
  const table = existing(database, random);
  database.exec(`DELETE FROM ${table} WHERE rowOf(id) % 3 <> ${random.below(3)}`);
  database.exec(`PRAGMA incremental_vacuum(${random.below(200)})`);
}

function existing(database: DatabaseSync, random: Random): string {
  const names = database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 't_'")
    .all()
    .map(({ name }) => String(name));
  return random.pick(names);
}

function change(database: DatabaseSync, random: Random): void {
  const table = existing(database, random);
  const row = random.below(ROWS_MAX);
  const bytes = bodyBytes(random);
  switch (random.below(12)) {
    case 0:
      return database.exec(`DELETE FROM ${table} WHERE rowOf(id) BETWEEN ${row} AND ${row + 60}`);
    case 1:
      return database.exec(`DELETE FROM ${table}`);
    case 2:
      return createOrDrop(database, random);
    case 3:
      return insertMany(database, table, random);
    case 4:
      return database.exec(
        `UPDATE ${table} SET body = randomblob(${bytes}) WHERE rowOf(id) % 7 = ${row % 7}`,
      );
    case 5:
      return database.exec(`PRAGMA incremental_vacuum(${random.below(20)})`);
    case 6:
    case 7:
      return database.exec(`DELETE FROM ${table} WHERE rowOf(id) = ${row}`);
    default:
      return database.exec(
        `INSERT INTO ${table} (id, body) VALUES (${row}, randomblob(${bytes}))
         ON CONFLICT (id) DO UPDATE SET body = excluded.body`,
      );
  }
}

/** Mostly small; some reach over many pages of any size. */
function bodyBytes(random: Random): number {
  const kind = random.below(20);
  if (kind === 0) return random.below(200_000);
  return kind < 4 ? random.below(5_000) : random.below(400);
}

/** More than a small cache holds, so that SQLite writes to the log before the commit. */
function insertMany(database: DatabaseSync, table: string, random: Random): void {
  const [first, count] = [random.below(ROWS_MAX), 20 + random.below(120)];
  database.exec(
    `WITH RECURSIVE n(i) AS (SELECT ${first} UNION ALL SELECT i + 1 FROM n WHERE i < ${first + count})
     INSERT OR REPLACE INTO ${table} (id, body) SELECT i, randomblob(${20 + random.below(800)}) FROM n`,
  );
}

function createOrDrop(database: DatabaseSync, random: Random): void {
  const name = random.pick(TABLES);
  // One table stays, so that there is always one to write to.
  if (name !== "t0" && random.below(2) === 0) return database.exec(`DROP TABLE IF EXISTS ${name}`);
  const [key, end] = random.pick([
    ["INTEGER", ""],
    ["TEXT", "WITHOUT ROWID"],
  ] as const);
  database.exec(
    `CREATE TABLE IF NOT EXISTS ${name} (id ${key} PRIMARY KEY, body BLOB) ${end};
     CREATE INDEX IF NOT EXISTS ${name}_body ON ${name} (body)`,
  );
}
