/** The databases that the tests of the Worker serve; vitest runs this in Node before workerd starts. */
import type { TestProject } from "vitest/node";
import { makeDatabaseImages, type DatabaseImages } from "./database-images.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Small: every type of value, an index, three transactions. */
    readonly shop: DatabaseImages;
    /** About 2 MB in 4-KB pages, two transactions. */
    readonly orders: DatabaseImages;
    /** About 400 KB in 1-KB pages that compress badly, 17 transactions: for what an edge bundle saves. */
    readonly ledger: DatabaseImages;
    /** Full-text and R*Tree tables, of which no one build of SQLite can read all; two transactions. */
    readonly modules: DatabaseImages;
    /** The same with FTS5 only, its texts in UTF-16. */
    readonly utf16: DatabaseImages;
  }
}

/** Makes the databases and hands them to the tests, which `inject` them. */
export function setup(project: TestProject): void {
  project.provide("shop", makeDatabaseImages({ pageSize: 1024, transactions: SHOP }));
  project.provide("orders", makeDatabaseImages({ transactions: ORDERS }));
  project.provide("ledger", makeDatabaseImages({ pageSize: 1024, transactions: LEDGER }));
  project.provide("modules", makeDatabaseImages({ transactions: MODULES }));
  project.provide("utf16", makeDatabaseImages({ encoding: "UTF-16le", transactions: UTF16 }));
}

const NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)";

const SHOP = [
  `CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL, photo BLOB, big INTEGER);
   CREATE INDEX items_by_name ON items (name);
   INSERT INTO items VALUES
     (1, 'lamp', 2.0, x'00ff10', 9007199254740993),
     (2, 'kettle', 39.5, NULL, -9223372036854775808),
     (3, 'Zürich → "tent"', 1e300, x'', 42)`,
  `${NUMBERS} INSERT INTO items (id, name, price) SELECT i, 'item ' || i, i / 4.0
     FROM n WHERE i BETWEEN 4 AND 400`,
  "UPDATE items SET name = 'lamp (sold)' WHERE id = 1; DELETE FROM items WHERE id > 100",
];

const ORDERS = [
  `CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL, note TEXT NOT NULL);
   ${NUMBERS} INSERT INTO orders SELECT i, i * 7919 % 1000, printf('%0180d', i * 31) FROM n;
   CREATE INDEX orders_by_customer ON orders (customer)`,
  "UPDATE orders SET note = 'paid' WHERE id % 1000 = 0",
];

const LEDGER = [
  `CREATE TABLE entries (id INTEGER PRIMARY KEY, account INTEGER NOT NULL, note TEXT NOT NULL);
   ${NUMBERS} INSERT INTO entries SELECT i, i % 97, hex(randomblob(32)) FROM n WHERE i <= 4000;
   CREATE INDEX entries_by_account ON entries (account)`,
  // Transactions 2 to 16 touch one row each, far from one another.
  ...Array.from(
    { length: 15 },
    (_, index) =>
      `UPDATE entries SET note = 'touched ${index + 2}' WHERE id = ${250 * (index + 2)}`,
  ),
  "CREATE TABLE extras (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO extras VALUES (1, 'late')",
];

const MODULES = [
  `CREATE TABLE plain (name TEXT);
   INSERT INTO plain VALUES ('first');
   CREATE VIRTUAL TABLE articles USING fts5(title, body);
   ${NUMBERS} INSERT INTO articles SELECT 'article ' || i, 'about w' || (i % 40) || ' and w' || (i % 7)
     FROM n WHERE i <= 3000;
   CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1, y0, y1);
   ${NUMBERS} INSERT INTO boxes SELECT i, i % 97, i % 97 + 3, i % 89, i % 89 + 2 FROM n WHERE i <= 3000;
   CREATE VIRTUAL TABLE letters USING fts4(body);
   INSERT INTO letters VALUES ('a red kettle'), ('a blue lamp');
   PRAGMA writable_schema = ON;
   INSERT INTO sqlite_schema VALUES
     ('table', 'places', 'places', 0, 'CREATE VIRTUAL TABLE places USING spatial(name)');
   PRAGMA writable_schema = OFF`,
  `INSERT INTO articles VALUES ('news', 'of the second transaction');
   DELETE FROM boxes WHERE id > 100;
   UPDATE plain SET name = 'second'`,
];

const UTF16 = [
  `CREATE TABLE plain (name TEXT);
   INSERT INTO plain VALUES ('Zürich');
   CREATE VIRTUAL TABLE articles USING fts5(body);
   CREATE VIRTUAL TABLE letters USING fts4(body);
   INSERT INTO letters VALUES ('a red kettle')`,
];
