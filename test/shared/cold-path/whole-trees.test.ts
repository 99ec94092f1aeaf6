/** What it costs to read a whole tree of some megabytes that is known to be read as a whole, out of a store that counts. */
import { beforeAll, expect, test } from "vitest";
import type { PageReader } from "../../../shared/replica/page-reader.ts";
import { makeDatabase } from "../../support/prefetch-databases.ts";
import { sameBytes } from "../../support/ltx-fixtures.ts";
import { type TracedReplica, tracedReplica } from "../../support/traced-replica.ts";

const MEBIBYTE = 1024 * 1024;
/** As the cache's size has it. */
const WINDOW_BYTES = 4_000_000;
const COUNT = "SELECT count(*) FROM events";
const SUM = "SELECT sum(length(body)) FROM events";

let replica: TracedReplica;

beforeAll(async () => {
  replica = await tracedReplica(
    makeDatabase((database) => {
      database.exec(`CREATE TABLE events (id INTEGER PRIMARY KEY, name TEXT, body TEXT);
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120000)
          INSERT INTO events SELECT i, hex(randomblob(12)), hex(randomblob(60)) FROM n;
        CREATE INDEX events_name ON events (name)`);
    }),
  );
});

interface Cost {
  readonly requests: number;
  /** Round trips. */
  readonly rounds: number;
  readonly bytes: number;
}

/** The page that the tree begins with which a query reads. */
function rootOf(sql: string): number {
  const { database } = replica;
  return database.trace(sql).find((pgno) => !database.opening.includes(pgno))!;
}

/** Reads the pages that SQLite reads for a query, and sees to it that they are right. */
async function cost(reader: PageReader, sql: string, expected: readonly number[]): Promise<Cost> {
  const { database, store } = replica;
  reader.expectScans(expected);
  for (const pgno of database.trace(sql)) {
    if (!reader.resident(pgno)) await reader.load(pgno);
    expect(sameBytes(reader.resident(pgno)!, database.page(pgno))).toBe(true);
  }
  reader.close();
  const { rounds, gets: requests, bytesRead: bytes } = store;
  return { rounds, requests, bytes };
}

test("an index of some megabytes is one round trip with an edge bundle", async () => {
  const told = await cost(await replica.bundledReader(), COUNT, [rootOf(COUNT)]);
  expect(told).toMatchObject({ rounds: 1, requests: 4 });
  expect(told.bytes).toBeGreaterThan(3 * MEBIBYTE);
  const untold = await cost(await replica.bundledReader(), COUNT, []);
  expect(untold.rounds).toBeGreaterThanOrEqual(7);
});

test("and little more than one for each of its three levels without one", async () => {
  const told = await cost(await replica.bareReader(), COUNT, [rootOf(COUNT)]);
  expect(told.rounds).toBeLessThanOrEqual(4);
  expect(told.requests).toBeLessThanOrEqual(15);
  const untold = await cost(await replica.bareReader(), COUNT, []);
  expect(untold.rounds).toBeGreaterThanOrEqual(10);
});

test("a table of many megabytes keeps six reads at work from the first leaf on", async () => {
  const told = await cost(await replica.bundledReader(), SUM, [rootOf(SUM)]);
  expect(told.bytes).toBeGreaterThan(17 * MEBIBYTE);
  expect(told.requests).toBeLessThanOrEqual(20);
  expect(told.rounds).toBeLessThanOrEqual(Math.ceil(told.requests / 6));
  const untold = await cost(await replica.bundledReader(), SUM, []);
  expect(untold.rounds).toBeGreaterThanOrEqual(2 * told.rounds);
});

test("a table that is larger than the cache, which drops the way to its leaves, costs nothing twice", async () => {
  const told = await cost(await replica.bareReader(8_000_000), SUM, [rootOf(SUM)]);
  const { bytes } = await cost(await replica.bundledReader(), SUM, []);
  expect(told.bytes).toBeLessThan(1.01 * bytes);
  expect(told.requests).toBeLessThanOrEqual(40);
  expect(told.rounds).toBeLessThanOrEqual(14);
});

test.each<[string, () => number[], string]>([
  [
    "of a tree of which one row is read",
    () => [rootOf(SUM)],
    "SELECT * FROM events WHERE id = 60000",
  ],
  ["of pages that no tree begins with", () => [17, 18, 0, 2 ** 31, -5], SUM],
  ["of another tree", () => [rootOf(COUNT)], SUM],
])("a lie %s costs two windows at most, and no page is wrong", async (_, lies, sql) => {
  const { bytes } = await cost(await replica.bundledReader(), sql, lies());
  const honest = await cost(await replica.bundledReader(), sql, []);
  expect(bytes).toBeLessThanOrEqual(1.1 * honest.bytes + 2 * WINDOW_BYTES);
});
