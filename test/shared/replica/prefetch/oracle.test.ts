import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { aMadeUpDatabase } from "../../../support/made-up-trees.ts";
import { simulate, type SimulationCost } from "../../../support/prefetch-simulation.ts";

const SLACK_BYTES = 64 * 1024;

/** Pages of noise, which no tree holds: a scan can only go by their numbers. */
const NOISE = {
  pageSize: 512,
  pageCount: 4_000,
  page(pgno: number): Uint8Array {
    let state = pgno * 2_654_435_761;
    return Uint8Array.from({ length: 512 }, (_, index) => {
      state = Math.imul(state ^ (state >>> 15), 0x2c1b_3c6d) + index;
      // Never the mark of a page of a B-tree.
      return index === 0 ? 1 : state >>> 24;
    });
  },
};

function upTo(count: number, pgno: (index: number) => number): number[] {
  return Array.from({ length: count }, (_, index) => pgno(index));
}

/** Numbers without any order; the same ones every time. */
function scattered(count: number): number[] {
  let state = 12_345;
  return upTo(count, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return 1 + ((state >>> 8) % NOISE.pageCount);
  });
}

function cost(trace: readonly number[], resident: readonly number[] = []): SimulationCost {
  return simulate({ database: NOISE, trace, resident });
}

describe("pages of no tree that is known", () => {
  test("one page: nothing else is fetched", () => {
    const { faults, fetchedBytes, usedBytes } = cost([700]);
    expect({ faults, wasted: fetchedBytes - usedBytes }).toEqual({ faults: 1, wasted: 0 });
  });

  test("sequential: the window doubles", () => {
    expect(cost(upTo(1_000, (n) => 1 + n)).faults).toBe(10);
  });

  test("sequential to the end of the database: nothing beyond it is fetched", () => {
    const { faults, fetchedBytes, usedBytes } = cost(upTo(NOISE.pageCount, (n) => 1 + n));
    expect(fetchedBytes).toBe(usedBytes);
    expect(faults).toBe(12);
  });

  test("a scan that is interrupted by lookups goes on as if it had not been", () => {
    const lookups = upTo(50, (n) => 2_000 + 37 * n);
    const mixed = upTo(1_000, (n) => 1 + n).flatMap((pgno) =>
      pgno % 20 === 0 ? [pgno, lookups[pgno / 20 - 1]] : [pgno],
    );
    expect(cost(mixed).faults).toBe(10 + 50);
  });

  test("eight scans that take turns each keep their window", () => {
    const turns = upTo(8 * 200, (n) => 1 + 300 * (n % 8) + Math.floor(n / 8));
    expect(cost(turns).faults).toBe(8 * 8);
  });

  test.each([
    ["every second page", upTo(500, (n) => 1 + 2 * n)],
    ["backwards", upTo(500, (n) => 500 - n)],
  ])("%s: nothing is fetched in vain", (_, trace) => {
    const { faults, fetchedBytes, usedBytes } = cost(trace);
    expect({ faults, wasted: fetchedBytes - usedBytes }).toEqual({ faults: 500, wasted: 0 });
  });

  test("scattered: hardly anything is fetched in vain", () => {
    const { faults, fetchedBytes, usedBytes } = cost(scattered(500));
    expect(faults).toBeGreaterThan(400);
    expect(fetchedBytes).toBeLessThan(1.05 * usedBytes);
  });

  test("a scan over pages of which some are at hand goes on over them", () => {
    const resident = upTo(1_000, (n) => 4 * n + 4);
    const trace = upTo(NOISE.pageCount, (n) => 1 + n);
    const { faults, fetchedBytes, usedBytes } = cost(trace, resident);
    // Each read ends at a page that is at hand, and there are 24 of them at most for one fault.
    expect(faults).toBeLessThanOrEqual(8 + 3_000 / 72);
    // Some pages at hand are read along by the reader, as they lie between two that are not.
    expect(fetchedBytes).toBeLessThan(1.4 * usedBytes);
  });

  test("a pattern made to deceive it gets small windows", () => {
    // Each page continues the window before, and nothing else of that window is wanted.
    const { fetchedBytes, usedBytes } = cost(upTo(11, (n) => 2 ** n));
    expect(fetchedBytes).toBeLessThanOrEqual(2 * usedBytes + SLACK_BYTES);
  });
});

describe("whatever is asked for, and whatever the pages hold", () => {
  const aStep = fc.record({
    from: fc.integer({ min: 1, max: 120 }),
    count: fc.integer({ min: 1, max: 30 }),
    step: fc.integer({ min: -3, max: 3 }),
  });
  const someSteps = fc.array(aStep, { minLength: 1, maxLength: 20 });
  const somePages = fc.uniqueArray(fc.integer({ min: 1, max: 120 }), { maxLength: 60 });

  test("no more is fetched than twice what is used, and 64 KiB", () => {
    const aCase = fc.tuple(aMadeUpDatabase, someSteps, somePages, fc.boolean(), fc.boolean());
    fc.assert(
      fc.property(aCase, ([database, steps, atHand, sizesUnknown, isPipelined]) => {
        const inside = (pgno: number): boolean => pgno >= 1 && pgno <= database.pageCount;
        const trace = steps
          .flatMap(({ from, count, step }) => upTo(count, (n) => from + n * step))
          .filter(inside);
        const resident = atHand.filter(inside);
        const options = { database, trace, resident, sizesUnknown, isPipelined };
        const { fetchedBytes, usedBytes } = simulate(options);
        expect(fetchedBytes).toBeLessThanOrEqual(2 * usedBytes + SLACK_BYTES);
      }),
      { numRuns: 300 },
    );
  });
});
