/** A database of any size to read from: one table with a unique index and an index of two columns. */
import { statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { seededRandom } from "../../../tools/demo/random.ts";

const GIVEN = ["Alma", "Bruno", "Chidi", "Dana", "Emre", "Freya", "Goran", "Hana", "Iris", "Jonas"];
const FAMILY = ["Adler", "Bakker", "Costa", "Duarte", "Ekman", "Fischer", "Grant", "Horvat", "Ito"];
const WORDS =
  "amber basket candle drawer enamel feather garden hammer island jacket kettle lantern mirror needle orchard pencil quarry ribbon saddle timber umbrella velvet window yarrow zipper".split(
    " ",
  );
const ROWS_A_BATCH = 20_000;

/** The address of row `id`: each row has another one. */
export function emailOf(id: number): string {
  return `${GIVEN[id % GIVEN.length]}.${(id * 7_919) % 10_000_019}@example.net`.toLowerCase();
}

/** Writes a database of about `sizeBytes`, in WAL mode, to a new file at `path`; answers how many rows it has. */
export function createShop(path: string, sizeBytes: number): number {
  const database = new DatabaseSync(path);
  database.exec(`PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -100000;
    CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, category INTEGER NOT NULL,
      created INTEGER NOT NULL, score REAL, meta TEXT, body TEXT)`);
  const random = seededRandom(11);
  const insert = database.prepare("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  let id = 0;
  // The indexes are made at the end, and take about a sixth of it all.
  while (statSync(path).size < sizeBytes * 0.84) {
    database.exec("BEGIN");
    for (let row = 0; row < ROWS_A_BATCH; row++) {
      id++;
      const words = Array.from({ length: 10 + random.below(30) }, () => random.pick(WORDS));
      insert.run(
        id,
        `${random.pick(GIVEN)} ${random.pick(FAMILY)}`,
        emailOf(id),
        random.below(200),
        1_600_000_000 + id * 13 + random.below(10),
        random.below(1_000_000) / 10_000,
        JSON.stringify({
          sku: `SKU-${random.below(9_000_000)}`,
          width: random.below(500),
          sold: id % 3 === 0,
        }),
        words.join(" "),
      );
    }
    database.exec("COMMIT");
  }
  database.exec(`CREATE UNIQUE INDEX items_email ON items (email);
    CREATE INDEX items_category ON items (category, created); ANALYZE; PRAGMA journal_mode = WAL`);
  database.close();
  return id;
}

/** A database whose rows were inserted, grown and deleted in no order, so that neighbours lie anywhere. */
export function createAgedShop(path: string, rows: number): void {
  const database = new DatabaseSync(path);
  database.exec(`PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;
    CREATE TABLE items (id INTEGER PRIMARY KEY, email TEXT, score REAL, body TEXT)`);
  const random = seededRandom(12);
  const insert = database.prepare("INSERT OR IGNORE INTO items VALUES (?, ?, ?, ?)");
  const grow = database.prepare("UPDATE items SET body = body || ? WHERE id = ?");
  const remove = database.prepare("DELETE FROM items WHERE id = ?");
  const text = (words: number) =>
    Array.from({ length: words }, () => random.below(1_000_000).toString(36)).join(" ");
  database.exec("BEGIN");
  for (let turn = 0; turn < rows; turn++) {
    const id = random.below(rows);
    insert.run(id, emailOf(id), random.below(1_000) / 10, text(20 + random.below(40)));
    if (turn % 3 === 0) grow.run(text(30), random.below(rows));
    if (turn % 5 === 0) remove.run(random.below(rows));
  }
  database.exec("COMMIT; PRAGMA journal_mode = WAL");
  database.close();
}

/** A database of many gigabytes, a row a page, made by SQLite itself: quick to write, and it compresses to little. */
export function createHugeShop(path: string, sizeBytes: number): number {
  const rows = Math.floor(sizeBytes / 4_096);
  const database = new DatabaseSync(path);
  database.exec(`PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -100000;
    CREATE TABLE items (id INTEGER PRIMARY KEY, email TEXT, score REAL, body TEXT)`);
  database
    .prepare(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
       INSERT INTO items SELECT i, 'row.' || i || '@example.net', i % 1000 / 10.0, printf('%.3500c', 'x') || i FROM n`,
    )
    .run(rows);
  database.exec("PRAGMA journal_mode = WAL");
  database.close();
  return rows;
}
