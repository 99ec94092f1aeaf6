/** Databases to read from in many ways, made by the real SQLite. The same bytes every time. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

const SCHEMA = `
  CREATE TABLE items (id INTEGER PRIMARY KEY, email TEXT NOT NULL, category INTEGER, price REAL, body TEXT);
  CREATE TABLE tags (item INTEGER, name TEXT, note TEXT, PRIMARY KEY (name, item)) WITHOUT ROWID;
  CREATE TABLE files (id INTEGER PRIMARY KEY, data BLOB);
`;
const INDEXES = `
  CREATE UNIQUE INDEX items_email ON items (email);
  CREATE INDEX items_category ON items (category);
  CREATE INDEX items_price ON items (category, price);
`;

/** Rows as they come, the indexes last: the leaves of most trees lie side by side, in order. */
export function freshDatabase({ rows = 24_000 } = {}): Uint8Array {
  return makeDatabase((database) => {
    const random = randomNumbers();
    const insert = database.prepare("INSERT INTO items VALUES (?, ?, ?, ?, ?)");
    const tag = database.prepare("INSERT INTO tags VALUES (?, ?, ?)");
    for (let id = 1; id <= rows; id++) {
      insert.run(
        id,
        `${text(random, 8)}${id}@example.com`,
        (719 * id) % 1_200,
        random() * 1_000,
        text(random, 300),
      );
      if (id % 8 === 0) tag.run(id, text(random, 5), text(random, 60));
    }
    const file = database.prepare("INSERT INTO files VALUES (?, ?)");
    for (let id = 1; id <= 12; id++) {
      file.run(
        id,
        Uint8Array.from({ length: 15_000 * id }, () => random() * 256),
      );
    }
    database.exec(INDEXES);
  });
}

/** Rows that came in any order, grew and went: the leaves of a tree lie anywhere. */
export function agedDatabase({ rows = 24_000 } = {}): Uint8Array {
  return makeDatabase((database) => {
    database.exec(INDEXES);
    const random = randomNumbers();
    const idMax = rows * 1.5;
    const insert = database.prepare("INSERT OR IGNORE INTO items VALUES (?, ?, ?, ?, ?)");
    const grow = database.prepare("UPDATE items SET body = ? WHERE id = ?");
    const remove = database.prepare("DELETE FROM items WHERE id = ?");
    const anId = (): number => 1 + Math.floor(random() * idMax);
    for (let n = 0; n < rows; n++) {
      const id = anId();
      insert.run(
        id,
        `${text(random, 8)}${id}@example.com`,
        (719 * id) % 1_200,
        random() * 1_000,
        text(random, 250),
      );
      if (n % 3 === 0) grow.run(text(random, 400), anId());
      if (n % 5 === 0) remove.run(anId());
    }
  });
}

export interface LookupDatabaseOptions {
  readonly pageSize?: number;
  readonly encoding?: string;
  /** Rowid of the n-th row, as SQL of `n`. */
  readonly rowid?: string;
}

/** A table of 4,000 rows of which each forty, far apart, have one `kind`; `other` tables are there, too. */
export function lookupDatabase(options: LookupDatabaseOptions = {}): Uint8Array {
  const { pageSize = 4096, encoding = "UTF-8", rowid = "n" } = options;
  return makeDatabase((database) => {
    for (let other = 0; other < 40; other++) {
      database.exec(
        `CREATE TABLE "other ${other}" (a, b); CREATE INDEX "b ${other}" ON "other ${other}" (b)`,
      );
    }
    database.exec(`
      CREATE TABLE things (id INTEGER PRIMARY KEY, kind, body TEXT);
      WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 4000)
      INSERT INTO things SELECT ${rowid}, 'kind ' || (n % 100), hex(randomblob(${pageSize / 8})) FROM numbers;
      CREATE INDEX things_kind ON things (kind);
    `);
  }, `PRAGMA page_size = ${pageSize}; PRAGMA encoding = '${encoding}'`);
}

export function makeDatabase(
  fill: (database: DatabaseSync) => void,
  pragmas = "PRAGMA page_size = 4096",
): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "eddy-prefetch-"));
  try {
    const path = join(folder, "database.db");
    const database = new DatabaseSync(path);
    database.exec(`${pragmas}; PRAGMA journal_mode = OFF; ${SCHEMA} BEGIN`);
    fill(database);
    database.exec("COMMIT");
    database.close();
    return readFileSync(path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** From 0 to 1, xorshift. */
function randomNumbers(): () => number {
  let state = 0x1234_5678;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Text that shrinks to about half. */
function text(random: () => number, length: number): string {
  let result = "";
  while (result.length < length) result += Math.floor(random() * 1e6).toString(36);
  return result.slice(0, length);
}
