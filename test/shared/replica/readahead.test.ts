import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ReadAhead } from "../../../shared/replica/readahead.ts";

/** With pages of 4 KiB: a window of 1 MiB, a slack of 64 KiB. */
const WINDOW_PAGES = 256;
const SLACK_PAGES = 16;
const PAGE_COUNT = 4_000;

interface Cost {
  /** Times that a page was not at hand. */
  readonly misses: number;
  readonly fetched: number;
  readonly used: number;
}

/** Reads pages in this order as a query does, with all the memory in the world. */
function cost(pgnos: Iterable<number>, resident: Iterable<number> = []): Cost {
  const atHand = new Set(resident);
  const readAhead = new ReadAhead({
    pageCount: PAGE_COUNT,
    windowPagesMax: WINDOW_PAGES,
    slackPages: SLACK_PAGES,
    isResident: (pgno) => atHand.has(pgno),
  });
  const used = new Set<number>();
  const fetched = new Set<number>();
  let misses = 0;
  for (const pgno of pgnos) {
    if (atHand.has(pgno)) {
      readAhead.onUse(pgno);
    } else {
      misses++;
      for (const page of readAhead.onFault(pgno)) {
        expect(atHand.has(page)).toBe(false);
        expect(page).toBeLessThanOrEqual(PAGE_COUNT);
        atHand.add(page);
        fetched.add(page);
      }
      expect(atHand.has(pgno)).toBe(true);
    }
    if (fetched.has(pgno)) used.add(pgno);
  }
  return { misses, fetched: fetched.size, used: used.size };
}

function upTo(count: number, pgno: (index: number) => number): number[] {
  return Array.from({ length: count }, (_, index) => pgno(index));
}

/** So many scans that take turns, of 200 pages each. */
function turns(scans: number): number[] {
  return upTo(scans * 200, (n) => 1 + 300 * (n % scans) + Math.floor(n / scans));
}

/** Numbers without any order; the same ones every time. */
function scattered(count: number): number[] {
  let state = 12_345;
  return upTo(count, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return 1 + ((state >>> 8) % PAGE_COUNT);
  });
}

describe("misses over named patterns", () => {
  test("sequential: the window doubles up to a mebibyte", () => {
    // Windows of 1, 2, 4 … 256, 256, 256: the tenth and later faults fetch 256 pages each.
    expect(cost(upTo(1_000, (n) => 1 + n))).toEqual({ misses: 11, fetched: 1_023, used: 1_000 });
  });

  test("sequential to the end of the database: nothing beyond it is fetched", () => {
    const { misses, fetched, used } = cost(upTo(PAGE_COUNT, (n) => 1 + n));
    expect({ fetched, used }).toEqual({ fetched: PAGE_COUNT, used: PAGE_COUNT });
    expect(misses).toBe(9 + Math.ceil((PAGE_COUNT - 511) / 256));
  });

  test("one page: one is fetched", () => {
    expect(cost([700])).toEqual({ misses: 1, fetched: 1, used: 1 });
  });

  test("a scan that is interrupted by lookups goes on as if it had not been", () => {
    const lookups = upTo(50, (n) => 2_000 + 37 * n);
    const scan = upTo(1_000, (n) => 1 + n);
    const mixed = scan.flatMap((pgno) =>
      pgno % 20 === 0 ? [pgno, lookups[pgno / 20 - 1]] : [pgno],
    );
    expect(cost(mixed).misses).toBe(11 + 50);
  });

  test("a scan with forty lookups for each of its pages keeps its window", () => {
    const lookups = scattered(40 * 64).map((pgno) => 500 + (pgno % 3_500));
    const scan = upTo(64, (n) => 1 + n);
    const join = scan.flatMap((pgno, n) => [pgno, ...lookups.slice(40 * n, 40 * n + 40)]);
    const alone = cost(lookups).misses;
    expect(cost(join).misses - alone).toBeLessThanOrEqual(2 * 7);
  });

  test("two scans that take turns each keep their window", () => {
    const both = upTo(2_000, (n) => (n % 2 === 0 ? 1 : 2_001) + (n >> 1));
    expect(cost(both)).toEqual({ misses: 2 * 11, fetched: 2 * 1_023, used: 2_000 });
  });

  test("eight scans that take turns each keep their window", () => {
    expect(cost(turns(8)).misses).toBe(8 * 8);
  });

  test("every second page: nothing is fetched in vain", () => {
    expect(cost(upTo(500, (n) => 1 + 2 * n))).toEqual({ misses: 500, fetched: 500, used: 500 });
  });

  test("backwards: nothing is fetched in vain", () => {
    expect(cost(upTo(500, (n) => 500 - n))).toEqual({ misses: 500, fetched: 500, used: 500 });
  });

  test("scattered: hardly anything is fetched in vain", () => {
    const { misses, fetched, used } = cost(scattered(500));
    expect(misses).toBeGreaterThan(400);
    expect(fetched - used).toBeLessThan(25);
  });

  test("a scan over pages of which some are at hand fetches the others only", () => {
    const resident = upTo(250, (n) => 4 * n + 4);
    const { misses, fetched } = cost(
      upTo(1_000, (n) => 1 + n),
      resident,
    );
    expect(misses).toBeLessThanOrEqual(12);
    expect(fetched).toBeLessThanOrEqual(750 + 24);
  });

  test("a pattern made to deceive it gets small windows", () => {
    // Each page continues the window before, and nothing else of that window is wanted.
    const powers = upTo(11, (n) => 2 ** n);
    const { fetched, used } = cost(powers);
    expect(fetched).toBeLessThanOrEqual(2 * used + SLACK_PAGES);
  });
});

test("no pattern fetches more than twice what it uses, and 64 KiB", () => {
  const aStep = fc.oneof(
    fc.record({
      from: fc.integer({ min: 1, max: PAGE_COUNT }),
      count: fc.integer({ min: 1, max: 40 }),
      step: fc.integer({ min: 1, max: 3 }),
    }),
    fc.record({
      from: fc.integer({ min: 1, max: 60 }),
      count: fc.constant(1),
      step: fc.constant(1),
    }),
  );
  const aPattern = fc
    .array(aStep, { minLength: 1, maxLength: 40 })
    .map((steps) =>
      steps.flatMap(({ from, count, step }) =>
        upTo(count, (n) => Math.min(PAGE_COUNT, from + n * step)),
      ),
    );
  const someResident = fc.uniqueArray(fc.integer({ min: 1, max: 200 }), { maxLength: 150 });
  fc.assert(
    fc.property(aPattern, someResident, (pgnos, resident) => {
      const { fetched, used } = cost(pgnos, resident);
      expect(fetched).toBeLessThanOrEqual(2 * used + SLACK_PAGES);
    }),
    { numRuns: 1_000 },
  );
});
