/** Windows of a scan that begin before they are asked for: what is waited for then, and what it may cost. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asTreePage } from "../../../shared/replica/prefetch/tree-page.ts";
import { agedDatabase, freshDatabase } from "../../support/prefetch-databases.ts";
import {
  simulate,
  type SimulationCost,
  type SimulationOptions,
} from "../../support/prefetch-simulation.ts";
import { tracedDatabase, type TracedDatabase } from "../../support/page-trace.ts";

const SLACK_BYTES = 64 * 1024;
const WINDOW_BYTES = 512 * 1024;
const FRESH = tracedDatabase(freshDatabase());
const AGED = tracedDatabase(agedDatabase());
const SUM = "SELECT sum(length(body)) FROM items";
const BACKWARDS =
  "SELECT sum(length(body)) FROM (SELECT body FROM items ORDER BY id DESC LIMIT -1)";

function interiorPages(database: TracedDatabase): number[] {
  const pgnos = Array.from({ length: database.pageCount }, (_, index) => index + 1);
  const isInterior = (pgno: number) => asTreePage(pgno, database.page(pgno))?.isInterior === true;
  return [...database.opening, ...pgnos.filter(isInterior)];
}

function rootOf(database: TracedDatabase, sql: string): number {
  return database.trace(sql).find((pgno) => !database.opening.includes(pgno))!;
}

function cost(
  database: TracedDatabase,
  trace: readonly number[],
  options: Partial<SimulationOptions> = {},
): SimulationCost {
  const cost = simulate({
    database,
    trace,
    resident: interiorPages(database),
    windowBytesMax: WINDOW_BYTES,
    isPipelined: true,
    ...options,
  });
  expect(cost.fetchedBytes).toBeLessThanOrEqual(2 * cost.usedBytes + SLACK_BYTES);
  return cost;
}

describe("a tree that is read as a whole", () => {
  test("is waited for once, at its first page, upwards and downwards", () => {
    for (const sql of [SUM, BACKWARDS]) {
      const expected = [rootOf(FRESH, sql)];
      const { faults, ahead, aheadBytesMax, fetchedBytes, usedBytes } = cost(
        FRESH,
        FRESH.trace(sql),
        { expected },
      );
      expect(faults).toBe(1);
      expect(ahead).toBeGreaterThan(12);
      expect(fetchedBytes).toBeLessThan(1.1 * usedBytes);
      // Besides what nobody uses in the end.
      const inVain = fetchedBytes - usedBytes;
      expect(aheadBytesMax - inVain).toBeLessThanOrEqual(2 * WINDOW_BYTES + SLACK_BYTES);
    }
  });

  test("is waited for at its levels besides where its interior pages are not at hand", () => {
    const expected = [rootOf(FRESH, SUM)];
    const { faults } = cost(FRESH, FRESH.trace(SUM), { expected, resident: FRESH.opening });
    expect(faults).toBeLessThanOrEqual(4);
  });

  test("takes no larger windows than so many pages", () => {
    const trace = FRESH.trace(SUM);
    const expected = [rootOf(FRESH, SUM)];
    const { ahead } = cost(FRESH, trace, { expected, windowPagesMax: 50 });
    expect(ahead).toBeGreaterThanOrEqual(Math.floor(new Set(trace).size / 50) - 2);
  });

  test("does not fetch again what it has used and what is at hand no more", () => {
    const trace = FRESH.trace(SUM);
    const options = { expected: [rootOf(FRESH, SUM)], forgets: 600 };
    const { fetchedBytes, usedBytes } = cost(FRESH, trace, options);
    expect(fetchedBytes).toBeLessThan(1.1 * usedBytes);
  });
});

describe("a scan of which nothing was said", () => {
  test("is not waited for any more when it has lasted", () => {
    for (const sql of [SUM, BACKWARDS]) {
      const trace = FRESH.trace(sql);
      const inTurn = cost(FRESH, trace, { isPipelined: false });
      const { faults, ahead, aheadBytesMax, fetchedBytes, usedBytes } = cost(FRESH, trace);
      // Its windows double until there is room for two of the largest.
      expect(faults).toBeLessThanOrEqual(8);
      expect(faults + ahead).toBeLessThanOrEqual(inTurn.faults + 1);
      expect(fetchedBytes).toBeLessThan(1.1 * usedBytes);
      // Besides what nobody uses in the end.
      const inVain = fetchedBytes - usedBytes;
      expect(aheadBytesMax - inVain).toBeLessThanOrEqual(2 * WINDOW_BYTES + SLACK_BYTES);
    }
  });

  test("keeps its windows ahead while single rows are looked up", () => {
    const trace = FRESH.trace(SUM);
    const lookups = FRESH.trace("SELECT count(note) FROM tags WHERE name > 'c' AND item > 5");
    const mixed = trace.flatMap((pgno, n) =>
      n % 200 === 0 ? [pgno, ...lookups.splice(0, 1)] : [pgno],
    );
    const alone = cost(FRESH, trace);
    const { faults } = cost(FRESH, mixed);
    expect(faults).toBeLessThanOrEqual(alone.faults + Math.ceil(trace.length / 200));
  });

  test("of an aged table is not waited for any more either", () => {
    const trace = AGED.trace(SUM);
    const { faults, ahead, requests } = cost(AGED, trace);
    const inTurn = cost(AGED, trace, { isPipelined: false });
    expect(faults).toBeLessThan(inTurn.faults / 4);
    expect(ahead).toBeGreaterThan(faults);
    expect(requests).toBeLessThan(1.1 * inTurn.requests);
  });

  test("fetches nothing ahead of its first page, or of a few", () => {
    for (const sql of [
      "SELECT * FROM items WHERE id = 12345",
      "SELECT sum(length(body)) FROM items WHERE id BETWEEN 12000 AND 12099",
      "SELECT sum(length(body)) FROM items WHERE category = 77",
    ]) {
      const inTurn = cost(FRESH, FRESH.trace(sql), { isPipelined: false });
      expect(cost(FRESH, FRESH.trace(sql))).toEqual(inTurn);
    }
  });
});

test("wherever a scan ends, no more is fetched than twice what it has used, and 64 KiB", () => {
  const traces = [
    ...[SUM, BACKWARDS].map((sql) => ({ database: FRESH, trace: FRESH.trace(sql) })),
    { database: AGED, trace: AGED.trace(SUM) },
  ];
  fc.assert(
    fc.property(
      fc.constantFrom(...traces),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer({ min: 4, max: 2_000 }),
      fc.boolean(),
      ({ database, trace }, share, windowPagesMax, sizesUnknown) => {
        const some = trace.slice(0, Math.ceil(share * trace.length));
        cost(database, some, { windowPagesMax, sizesUnknown });
      },
    ),
    { numRuns: 25 },
  );
});
