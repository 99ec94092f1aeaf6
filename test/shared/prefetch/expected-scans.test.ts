/** Trees that a statement is known to read as a whole: what that saves, and what it costs where it is a lie. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { lookupDatabase, agedDatabase, freshDatabase } from "../../support/prefetch-databases.ts";
import { aMadeUpDatabase } from "../../support/made-up-trees.ts";
import {
  simulate,
  type SimulationCost,
  type SimulationOptions,
} from "../../support/prefetch-simulation.ts";
import { tracedDatabase, type TracedDatabase } from "../../support/page-trace.ts";
import { PrefetchOracle } from "../../../shared/replica/prefetch/oracle.ts";
import { asTreePage } from "../../../shared/replica/prefetch/tree-page.ts";

const SLACK_BYTES = 64 * 1024;
const MEBIBYTE = 1024 * 1024;
const FRESH = tracedDatabase(freshDatabase());
const AGED = tracedDatabase(agedDatabase());

const SUM = "SELECT sum(length(body)) FROM items";
const BACKWARDS =
  "SELECT sum(length(body)) FROM (SELECT body FROM items ORDER BY id DESC LIMIT -1)";
const COUNT = "SELECT count(*) FROM items";
const COUNT_BY_EMAIL = "SELECT count(email) FROM items INDEXED BY items_email";

function pagesUpTo(pageCount: number): number[] {
  return Array.from({ length: pageCount }, (_, index) => index + 1);
}

function interiorPages(database: TracedDatabase): number[] {
  const isInterior = (pgno: number) => asTreePage(pgno, database.page(pgno))?.isInterior === true;
  return [...database.opening, ...pagesUpTo(database.pageCount).filter(isInterior)];
}

/** The root of the tree that a query reads: the first page behind the schema that its connection reads. */
function rootOf(database: TracedDatabase, sql: string): number {
  return database.trace(sql).find((pgno) => !database.opening.includes(pgno))!;
}

type Options = Pick<SimulationOptions, "expected" | "resident" | "windowBytesMax" | "sizesUnknown">;

/** What a query costs that reads one tree as a whole, as was said of it. */
function cost(database: TracedDatabase, sql: string, options: Options = {}): SimulationCost {
  const cost = simulate({
    database,
    trace: database.trace(sql),
    resident: interiorPages(database),
    expected: [rootOf(database, sql)],
    windowBytesMax: 6 * MEBIBYTE,
    ...options,
  });
  expect(cost.fetchedBytes).toBeLessThanOrEqual(2 * cost.usedBytes + SLACK_BYTES);
  return cost;
}

describe("a tree that is read as a whole", () => {
  test("and fits into a window waits once", () => {
    for (const sql of [COUNT, COUNT_BY_EMAIL]) {
      const { faults, rounds, fetchedBytes, usedBytes } = cost(FRESH, sql);
      expect({ faults, rounds }).toEqual({ faults: 1, rounds: 1 });
      expect(fetchedBytes).toBe(usedBytes);
      expect(cost(FRESH, sql, { expected: [] }).faults).toBeGreaterThanOrEqual(3);
    }
  });

  test("waits for its interior pages where they are not at hand, once for each level", () => {
    const resident = FRESH.opening;
    // The root, which of this small index is the only interior page; and then the leaves.
    expect(cost(FRESH, COUNT, { resident }).rounds).toBe(2);
    expect(cost(FRESH, COUNT_BY_EMAIL, { resident }).rounds).toBe(3);
    expect(cost(FRESH, COUNT_BY_EMAIL, { resident, expected: [] }).rounds).toBe(7);
  });

  test("has windows of the largest size from its first leaf to its last, upwards and downwards", () => {
    for (const sql of [SUM, BACKWARDS]) {
      const { faults, rounds, usedBytes, fetchedBytes } = cost(FRESH, sql);
      expect(usedBytes).toBeGreaterThan(7.5 * MEBIBYTE);
      expect(fetchedBytes).toBeLessThan(1.1 * usedBytes);
      expect({ faults, rounds }).toEqual({ faults: 2, rounds: 3 });
      expect(cost(FRESH, sql, { windowBytesMax: MEBIBYTE }).faults).toBe(9);
    }
  });

  test("with nothing at hand costs its levels besides", () => {
    for (const sql of [SUM, BACKWARDS]) {
      const { faults, requests, fetchedBytes, usedBytes } = cost(FRESH, sql, {
        resident: FRESH.opening,
      });
      expect(faults).toBeLessThanOrEqual(4);
      // Interior pages that lie between leaves come along with them.
      expect(requests).toBeLessThanOrEqual(18);
      expect(fetchedBytes).toBeLessThan(1.1 * usedBytes);
    }
  });

  test("that lies scattered is read in the order of the file", () => {
    const { faults, requests, fetchedBytes, usedBytes } = cost(AGED, SUM);
    expect(faults).toBe(1);
    expect(fetchedBytes).toBeLessThan(1.1 * usedBytes);
    const { requests: requestsBefore } = cost(AGED, SUM, { expected: [] });
    expect(requests).toBeLessThan(requestsBefore / 8);
  });

  test("that lies scattered and is too large for a window waits once for each window", () => {
    const { faults, requests } = cost(AGED, SUM, { windowBytesMax: MEBIBYTE });
    expect(faults).toBe(6);
    const guessed = cost(AGED, SUM, { windowBytesMax: MEBIBYTE, expected: [] });
    expect(requests).toBeLessThan(guessed.requests);
    expect(guessed.faults).toBe(60);
  });

  test("of which sizes of frames are not known costs a few windows more", () => {
    const { faults } = cost(FRESH, SUM, { sizesUnknown: true });
    expect(faults).toBeLessThanOrEqual(4);
  });

  test("of which pages are at hand is not fetched again", () => {
    const some = FRESH.trace(SUM).filter((_, index) => index % 100 < 50);
    const resident = [...interiorPages(FRESH), ...some];
    const { faults, fetchedBytes, usedBytes } = cost(FRESH, SUM, { resident });
    expect(faults).toBe(1);
    expect(fetchedBytes).toBeLessThan(1.1 * usedBytes);
  });

  test("is known by its root also where SQLite's own cache hides the interior pages", () => {
    const trace = FRESH.traceWarm(
      COUNT,
      COUNT_BY_EMAIL,
      "SELECT count(*) FROM items WHERE id < 5",
      SUM,
    );
    const leaves = trace.filter((pgno) => asTreePage(pgno, FRESH.page(pgno))?.isInterior === false);
    const { faults } = simulate({
      database: FRESH,
      trace: leaves,
      resident: interiorPages(FRESH),
      expected: [rootOf(FRESH, SUM)],
      windowBytesMax: 6 * MEBIBYTE,
    });
    expect(faults).toBe(2);
  });

  test("while rows of another are looked up goes on with its windows", () => {
    const lookups = FRESH.trace("SELECT sum(length(note)) FROM tags WHERE name > 'c'");
    const scan = FRESH.trace(SUM);
    const mixed = scan.flatMap((pgno, n) =>
      n % 200 === 0 ? [pgno, ...lookups.splice(0, 1)] : [pgno],
    );
    const resident = interiorPages(FRESH);
    const expected = [rootOf(FRESH, SUM)];
    const { faults } = simulate({ database: FRESH, trace: mixed, resident, expected });
    const alone = simulate({ database: FRESH, trace: scan, resident, expected });
    expect(faults).toBeLessThanOrEqual(alone.faults + mixed.length - scan.length);
  });
});

test("a tree whose root the cache drops is followed to its end all the same", () => {
  const root = rootOf(FRESH, SUM);
  const faultsWhere = (isGone: (pagesAtHand: number) => boolean): number => {
    const { faults } = simulate({
      database: FRESH,
      trace: FRESH.trace(SUM),
      resident: FRESH.opening,
      prefetcher(atHand) {
        const oracle = new PrefetchOracle({
          pageSize: FRESH.pageSize,
          pageCount: FRESH.pageCount,
          peek: (pgno) => (pgno === root && isGone(atHand.size) ? undefined : atHand.get(pgno)),
          isAtHand: (pgno) => atHand.has(pgno),
          frameBytes: () => undefined,
        });
        oracle.expectScans([root]);
        return oracle;
      },
    });
    return faults;
  };
  expect(faultsWhere((pagesAtHand) => pagesAtHand > 50)).toBe(faultsWhere(() => false));
});

test("below a root, only some pages are read before it is known that they are interior pages", () => {
  const small = tracedDatabase(lookupDatabase({ pageSize: 512 }));
  const [root, child] = small
    .trace("SELECT sum(length(body)) FROM things")
    .filter((pgno) => !small.opening.includes(pgno));
  const { requests, faults } = simulate({
    database: small,
    trace: [root, child],
    resident: small.opening,
    expected: [root],
  });
  expect({ requests, faults }).toEqual({ faults: 2, requests: 12 });
});

describe("a query that does not do what was said of it", () => {
  const row = "SELECT * FROM items WHERE id = 12345";

  test("fetches two windows in vain at most", () => {
    const expected = [rootOf(FRESH, SUM)];
    for (const sql of [row, "SELECT length(body) FROM items WHERE id % 1000 = 7 LIMIT 3"]) {
      const { fetchedBytes, usedBytes } = simulate({
        database: FRESH,
        trace: FRESH.trace(sql),
        resident: interiorPages(FRESH),
        expected,
      });
      expect(fetchedBytes - usedBytes).toBeGreaterThan(SLACK_BYTES);
      expect(fetchedBytes).toBeLessThanOrEqual(2 * usedBytes + SLACK_BYTES + 2 * MEBIBYTE);
    }
  });

  test("about a tree that is none of its own fetches nothing in vain", () => {
    const lies = [rootOf(FRESH, COUNT), 2 ** 31, 0, -1, Number.NaN, FRESH.pageCount, 1];
    const trace = FRESH.trace(row);
    const { fetchedBytes, usedBytes } = simulate({
      database: FRESH,
      trace,
      resident: interiorPages(FRESH),
      expected: lies,
    });
    expect(fetchedBytes).toBe(usedBytes);
  });

  test("falls back to what it is seen to do", () => {
    const expected = [rootOf(FRESH, SUM)];
    const trace = [
      ...pagesUpTo(300).map((n) => FRESH.trace(SUM)[4 + 7 * n]),
      ...FRESH.trace(COUNT_BY_EMAIL),
    ];
    const resident = interiorPages(FRESH);
    const { faults, fetchedBytes, usedBytes } = simulate({
      database: FRESH,
      trace,
      resident,
      expected,
    });
    expect(fetchedBytes).toBeLessThanOrEqual(2 * usedBytes + SLACK_BYTES + 2 * MEBIBYTE);
    expect(faults).toBeLessThanOrEqual(300 + 7);
  });
});

describe("whatever is expected, and whatever the pages hold", () => {
  const aStep = fc.record({
    from: fc.integer({ min: 1, max: 120 }),
    count: fc.integer({ min: 1, max: 30 }),
    step: fc.integer({ min: -3, max: 3 }),
  });
  const somePages = fc.uniqueArray(fc.integer({ min: 1, max: 121 }), { maxLength: 60 });
  const windowBytesMax = 20_000;

  test("no more than two windows are fetched besides", () => {
    const aCase = fc.tuple(
      aMadeUpDatabase,
      fc.array(aStep, { minLength: 1, maxLength: 20 }),
      somePages,
      fc.array(fc.integer({ min: 0, max: 125 }), { minLength: 1, maxLength: 8 }),
      fc.boolean(),
    );
    fc.assert(
      fc.property(aCase, ([database, steps, atHand, expected, sizesUnknown]) => {
        const inside = (pgno: number): boolean => pgno >= 1 && pgno <= database.pageCount;
        const trace = steps
          .flatMap(({ from, count, step }) => pagesUpTo(count).map((n) => from + n * step))
          .filter(inside);
        const options = { database, trace, resident: atHand.filter(inside), sizesUnknown };
        const { fetchedBytes, usedBytes } = simulate({ ...options, expected, windowBytesMax });
        expect(fetchedBytes).toBeLessThanOrEqual(2 * usedBytes + SLACK_BYTES + 2 * windowBytesMax);
      }),
      { numRuns: 300 },
    );
  });

  test("a ring of interior pages is gone round no more often than the looks last", () => {
    const ring = tracedDatabase(lookupDatabase({ pageSize: 512 }));
    const trace = ring.trace("SELECT count(*) FROM things");
    const root = rootOf(ring, "SELECT count(*) FROM things");
    const page = ring.page(root).slice();
    const view = new DataView(page.buffer);
    for (let cell = 0; cell < view.getUint16(3); cell++) {
      view.setUint32(view.getUint16(12 + 2 * cell), root);
    }
    view.setUint32(8, root);
    const damaged = { ...ring, page: (pgno: number) => (pgno === root ? page : ring.page(pgno)) };
    const expected = pagesUpTo(ring.pageCount);
    const { fetchedBytes, usedBytes } = simulate({
      database: damaged,
      trace,
      resident: [1, root],
      expected,
    });
    expect(fetchedBytes).toBeLessThanOrEqual(2 * usedBytes + SLACK_BYTES + 2 * MEBIBYTE);
  });
});
