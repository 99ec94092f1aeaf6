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
  }
}

/** Makes the databases and hands them to the tests, which `inject` them. */
export function setup(project: TestProject): void {
  project.provide("shop", makeDatabaseImages({ pageSize: 1024, transactions: SHOP }));
  project.provide("orders", makeDatabaseImages({ transactions: ORDERS }));
  project.provide("ledger", makeDatabaseImages({ pageSize: 1024, transactions: LEDGER }));
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
