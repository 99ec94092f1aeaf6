/** What queries cost: the pages that SQLite reads, in the order in which it reads them. */
import { describe, expect, test } from "vitest";
import { asTreePage } from "../../../shared/replica/prefetch/tree-page.ts";
import { agedDatabase, freshDatabase, lookupDatabase } from "../../support/prefetch-databases.ts";
import { simulate, type SimulationCost } from "../../support/prefetch-simulation.ts";
import { tracedDatabase, type TracedDatabase } from "../../support/page-trace.ts";

const SLACK_BYTES = 64 * 1024;
const FRESH = tracedDatabase(freshDatabase());
const AGED = tracedDatabase(agedDatabase());

/** What one query costs with the schema and the interior pages at hand, as an edge bundle has them. */
function cost(database: TracedDatabase, sql: string): SimulationCost {
  const cost = simulate({
    database,
    trace: database.trace(sql),
    resident: interiorPages(database),
  });
  expect(cost.fetchedBytes).toBeLessThanOrEqual(2 * cost.usedBytes + SLACK_BYTES);
  return cost;
}

/** The same with nothing at hand but the schema. */
function coldCost(database: TracedDatabase, sql: string): SimulationCost {
  return simulate({ database, trace: database.trace(sql), resident: database.opening });
}

function interiorPages(database: TracedDatabase): number[] {
  const pgnos = Array.from({ length: database.pageCount }, (_, index) => index + 1);
  const isInterior = (pgno: number) => asTreePage(pgno, database.page(pgno))?.isInterior === true;
  return [...database.opening, ...pgnos.filter(isInterior)];
}

describe("one row", () => {
  test("by its key is one page, and nothing is fetched in vain", () => {
    const { faults, fetchedBytes, usedBytes } = cost(FRESH, "SELECT * FROM items WHERE id = 12345");
    expect({ faults, wasted: fetchedBytes - usedBytes }).toEqual({ faults: 1, wasted: 0 });
  });

  test.each([
    ["of one column", "email >= 'm'"],
    ["of two", "category = 7 AND price > 500"],
  ])("by an index %s is two", (_, where) => {
    const sql = `SELECT length(body) FROM items WHERE ${where} LIMIT 1`;
    const { faults, fetchedBytes, usedBytes } = cost(FRESH, sql);
    expect({ faults, wasted: fetchedBytes - usedBytes }).toEqual({ faults: 2, wasted: 0 });
  });
});

function byEmail(limit: number, order = ""): string {
  return `SELECT length(body) FROM items WHERE email > 'k' ORDER BY email ${order} LIMIT ${limit}`;
}

/** What the last query costs on a connection that has run the others. */
function warmCost(...queries: string[]): SimulationCost {
  const trace = FRESH.traceWarm(...queries);
  const used = trace.map((pgno) => asTreePage(pgno, FRESH.page(pgno)));
  expect(used.filter((page) => page?.isInterior).length).toBe(0);
  return simulate({ database: FRESH, trace, resident: interiorPages(FRESH) });
}

function rangeFrom(id: number): string {
  return `SELECT sum(length(body)) FROM items WHERE id BETWEEN ${id} AND ${id + 99}`;
}

function tenOfCategory(category: number): string {
  return `SELECT sum(length(body)) FROM items WHERE category = ${category} AND id < 12000`;
}

describe("on a connection whose own cache hides the interior pages", () => {
  test("a range waits twice all the same", () => {
    expect(warmCost(rangeFrom(12_000), rangeFrom(12_500)).faults).toBe(2);
  });

  test("rows through an index are foreseen all the same", () => {
    const { faults, rounds } = warmCost(tenOfCategory(7), tenOfCategory(700));
    expect({ faults, rounds }).toEqual({ faults: 3, rounds: 3 });
  });

  test("one row is still one page", () => {
    const { requests } = warmCost(
      "SELECT body FROM items WHERE id = 100",
      "SELECT body FROM items WHERE id = 200",
    );
    expect(requests).toBe(1);
  });
});

describe("rows through an index", () => {
  const ofCategory = "SELECT sum(length(body)) FROM items WHERE category = 7";
  test("are foreseen from the index's leaf, and end with the value that they have in common", () => {
    for (const database of [FRESH, AGED]) {
      const { requests, rounds, fetchedBytes, usedBytes } = cost(database, ofCategory);
      // The leaf of the index, the first row where it does not show yet what follows, and six rows a round.
      expect(requests).toBeGreaterThan(12);
      expect(rounds).toBeLessThanOrEqual(2 + Math.ceil((requests - 2) / 6));
      expect(fetchedBytes).toBe(usedBytes);
    }
  });

  test("are foreseen at once where the first of them is the first of its value", () => {
    const sql = "SELECT length(body) FROM items WHERE category = 17 ORDER BY price";
    for (const order of ["", "DESC"]) {
      const { requests, rounds } = cost(AGED, `${sql} ${order} LIMIT 15`);
      expect(rounds).toBe(1 + Math.ceil((requests - 1) / 6));
    }
  });

  test("of many values are foreseen, too, but not where they end", () => {
    const { faults, requests, rounds } = cost(FRESH, byEmail(20));
    expect({ faults, rounds }).toEqual({ faults: 6, rounds: 6 });
    expect(requests).toBeLessThanOrEqual(21 + 5);
  });

  test("go on from one leaf of the index to the next, upwards and downwards", () => {
    for (const sql of [byEmail(1_000), byEmail(1_000, "DESC")]) {
      const { requests, rounds, fetchedBytes, usedBytes } = cost(FRESH, sql);
      expect(rounds).toBeLessThan(1.2 * Math.ceil(requests / 6));
      expect(fetchedBytes).toBeLessThan(1.3 * usedBytes);
    }
  });

  test("wait for interior pages of the table, which are foreseen like leaves", () => {
    // Three levels of two trees, and then a round for the other interior pages.
    expect(coldCost(FRESH, ofCategory).rounds).toBeLessThanOrEqual(6 + 3);
  });

  test("are not foreseen where the index alone answers", () => {
    const { requests, faults } = cost(FRESH, "SELECT count(*) FROM items WHERE category = 7");
    expect({ requests, faults }).toEqual({ requests: 1, faults: 1 });
  });

  test("that is no table with rowids are not foreseen, and not in error", () => {
    const byItem = "SELECT count(note) FROM tags WHERE name > 'c' AND item > 5";
    const { fetchedBytes, usedBytes } = cost(FRESH, byItem);
    expect(fetchedBytes).toBeLessThanOrEqual(1.5 * usedBytes);
  });
});

describe("forty rows of one key", () => {
  const sql = "SELECT sum(length(body)) FROM things WHERE kind = 'kind 7'";

  test.each([
    ["pages of 512 bytes", { pageSize: 512 }],
    ["pages of 64 KiB", { pageSize: 65_536 }],
    ["UTF-16, little-endian", { encoding: "UTF-16le" }],
    ["UTF-16, big-endian", { encoding: "UTF-16be" }],
    ["negative rowids", { rowid: "-n" }],
    ["the smallest rowids", { rowid: "-9223372036854775808 + n * 100000" }],
    ["the largest rowids", { rowid: "9223372036854775807 - n * 100000" }],
  ])("are foreseen with %s", (_, options) => {
    const database = tracedDatabase(lookupDatabase(options));
    const { faults, requests, rounds } = cost(database, sql);
    // The first row alone shows where the others begin.
    expect(rounds).toBeLessThanOrEqual(3 + Math.ceil(requests / 6));
    expect(faults).toBeLessThan(requests / 3);
  });
});

describe("a range of a hundred rows", () => {
  const range = rangeFrom(12_000);
  const descending =
    "SELECT length(body) FROM items WHERE id BETWEEN 12000 AND 12099 ORDER BY id DESC";

  test("waits twice, upwards and downwards, however scattered the leaves are", () => {
    for (const database of [FRESH, AGED]) {
      for (const sql of [range, descending]) expect(cost(database, sql).faults).toBe(2);
    }
  });

  test("waits for the interior pages first where they are not at hand", () => {
    expect(coldCost(FRESH, range).faults).toBe(2 + 2);
  });
});

test("sizes of frames that are known only when they have come cost a few round trips more", () => {
  const scan = "SELECT sum(length(body)) FROM items";
  const known = cost(FRESH, scan);
  const options = { database: FRESH, trace: FRESH.trace(scan), resident: interiorPages(FRESH) };
  const unknown = simulate({ ...options, sizesUnknown: true });
  expect(unknown.rounds).toBeLessThanOrEqual(known.rounds + 3);
});

/** Most of a window: if it were paid for, nothing would be left for the others. */
function isLeftOut(pgno: number): boolean {
  return pgno % 10 >= 4;
}

test("pages that did not come along after all are not paid for", () => {
  const scan = "SELECT sum(length(body)) FROM items";
  const options = { database: FRESH, trace: FRESH.trace(scan), resident: interiorPages(FRESH) };
  const { faults } = simulate({ ...options, isLeftOut });
  const leftOut = new Set(options.trace.filter(isLeftOut)).size;
  expect(faults).toBeLessThan(leftOut + 40);
});

describe("a scan", () => {
  const scan = "SELECT sum(length(body)) FROM items";

  test("of the smallest index counts the rows in a few round trips", () => {
    const { faults, fetchedBytes, usedBytes } = cost(FRESH, "SELECT count(*) FROM items");
    expect(faults).toBe(3);
    expect(fetchedBytes).toBeLessThan(1.1 * usedBytes);
  });

  test("of a whole table takes windows of a mebibyte", () => {
    const { faults, rounds, fetchedBytes, usedBytes } = cost(FRESH, scan);
    expect(faults).toBeLessThanOrEqual(14);
    expect(rounds).toBeLessThanOrEqual(16);
    expect(fetchedBytes).toBeLessThan(1.2 * usedBytes);
  });

  test("fetches interior pages ahead of their children", () => {
    expect(coldCost(FRESH, scan).faults).toBeLessThanOrEqual(14 + 3);
  });

  test("of an aged table keeps six reads at work", () => {
    const { requests, rounds, fetchedBytes, usedBytes } = cost(AGED, scan);
    expect(rounds).toBeLessThan(1.1 * Math.ceil(requests / 6));
    expect(fetchedBytes).toBeLessThan(1.2 * usedBytes);
  });
});

function lookUp(count: number, key: string): string {
  return `WITH RECURSIVE n (i, x) AS (SELECT 1, 12345 UNION ALL
      SELECT i + 1, (x * 1103515245 + 12345) & 2147483647 FROM n WHERE i < ${count})
    SELECT count(body) FROM n CROSS JOIN items ON id = ${key}`;
}

describe("a row that goes on in other pages", () => {
  test("says how far it goes on: they are foreseen, and no more", () => {
    // 180,000 bytes: the leaf, the first page of 44, and two windows that double.
    const { faults, fetchedBytes, usedBytes } = cost(
      FRESH,
      "SELECT substr(data, -1) FROM files WHERE id = 12",
    );
    expect({ faults, wasted: fetchedBytes - usedBytes }).toEqual({ faults: 4, wasted: 0 });
  });

  test("of which only the beginning is asked for costs no more than that", () => {
    const { requests } = cost(FRESH, "SELECT id FROM files WHERE id = 12");
    expect(requests).toBe(1);
  });
});

describe("a scan that is interrupted", () => {
  test("by single rows of the same table goes on with its window", () => {
    const trace = FRESH.trace("SELECT sum(length(body)) FROM items WHERE id < 8000");
    const lookups = FRESH.trace(lookUp(40, "12000 + (x >> 8) % 12000"));
    const mixed = trace.flatMap((pgno, n) =>
      n % 20 === 0 ? [pgno, ...lookups.splice(0, 3)] : pgno,
    );
    const resident = interiorPages(FRESH);
    const alone = simulate({ database: FRESH, trace, resident });
    const { faults } = simulate({ database: FRESH, trace: mixed, resident });
    expect(faults).toBeLessThanOrEqual(alone.faults + 40 + 2);
  });
});

function shortRanges(count: number): string {
  return `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
    SELECT sum(length(body)) FROM n CROSS JOIN items ON id BETWEEN i * 800 AND i * 800 + 25`;
}

/** Bytes that an aged database is asked for and that nobody uses, as a share of the others. */
function inVain(sql: string): number {
  const { fetchedBytes, usedBytes } = cost(AGED, sql);
  return (fetchedBytes - usedBytes) / usedBytes;
}

test("short ranges, one after the other, fetch less and less in vain", () => {
  expect(inVain(shortRanges(20))).toBeLessThan(inVain(shortRanges(3)) / 2);
});

describe("rows by their keys", () => {
  test("in no order fetch little in vain", () => {
    const { fetchedBytes, usedBytes } = cost(FRESH, lookUp(200, "(x >> 8) % 24000"));
    expect(fetchedBytes).toBeLessThan(1.2 * usedBytes);
  });

  test("of every second leaf fetch nothing in vain", () => {
    const { fetchedBytes, usedBytes } = cost(FRESH, lookUp(300, "25 * i"));
    expect(fetchedBytes).toBe(usedBytes);
  });
});
