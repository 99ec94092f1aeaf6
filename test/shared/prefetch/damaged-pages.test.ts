/** Pages of real databases with bytes changed: what the oracle makes of them has to end, and keep its bound. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { lookupDatabase } from "../../support/prefetch-databases.ts";
import { simulate } from "../../support/prefetch-simulation.ts";
import { tracedDatabase } from "../../support/page-trace.ts";

const SLACK_BYTES = 64 * 1024;
const DATABASE = tracedDatabase(lookupDatabase({ pageSize: 512 }));
const TRACES = [
  "SELECT sum(length(body)) FROM things WHERE kind = 'kind 7'",
  "SELECT sum(length(body)) FROM things WHERE id BETWEEN 1000 AND 1100",
  "SELECT length(body) FROM things WHERE kind > 'kind 3' ORDER BY kind LIMIT 100",
  "SELECT count(*) FROM things",
].map((sql) => DATABASE.trace(sql));
const ALL = Array.from({ length: DATABASE.pageCount }, (_, index) => index + 1);

/** The bytes that say most: the header of a page, its cell pointers, and the cells at its end. */
const aDamage = fc.record({
  pgno: fc.oneof(fc.constantFrom(...DATABASE.opening), fc.constantFrom(...new Set(TRACES.flat()))),
  offset: fc.oneof(fc.nat(120), fc.nat(511)),
  byte: fc.oneof(fc.constantFrom(0, 1, 2, 5, 10, 13, 0x7f, 0x80, 0xff), fc.nat(255)),
});

test("damaged pages cost no more than the bound, and nothing is thrown", () => {
  const aCase = fc.tuple(
    fc.array(aDamage, { minLength: 1, maxLength: 60 }),
    fc.constantFrom(...TRACES),
    fc.boolean(),
    fc.boolean(),
  );
  fc.assert(
    fc.property(aCase, ([damages, trace, areAllButLeavesAtHand, isPipelined]) => {
      const damaged = new Map<number, Uint8Array>();
      for (const { pgno, offset, byte } of damages) {
        const page = damaged.get(pgno) ?? DATABASE.page(pgno).slice();
        page[offset] = byte;
        damaged.set(pgno, page);
      }
      const leaves = new Set(trace);
      const { fetchedBytes, usedBytes } = simulate({
        database: {
          pageSize: 512,
          pageCount: DATABASE.pageCount,
          page: (pgno) => damaged.get(pgno) ?? DATABASE.page(pgno),
        },
        trace,
        isPipelined,
        resident: areAllButLeavesAtHand ? ALL.filter((pgno) => !leaves.has(pgno)) : [],
      });
      expect(fetchedBytes).toBeLessThanOrEqual(2 * usedBytes + SLACK_BYTES);
    }),
    { numRuns: 300 },
  );
});
