/** What counts as a fetch of a query's: what it may wait for is bounded by that. */
import { expect, it } from "vitest";
import { runQuery } from "../../worker/sqlite/run-query.ts";
import { engineUnderTest } from "./support-engine/build-under-test.ts";
import { database, FULL_TEXT, LIMITS, request, slowSource } from "./support-engine/sources.ts";

const SQL = "SELECT count(*), sum(length(v)) FROM t";
const FETCHES_MAX = 3;

it("a page that comes along with one that was waited for is none", async () => {
  const engine = await engineUnderTest();
  const limits = { ...LIMITS, faultsMax: FETCHES_MAX };
  const over = { sql: SQL, sourceKey: "comes along", limits };
  const slow = slowSource(database(FULL_TEXT));
  const source = Object.assign(slow, { comesAlong: (pgno: number) => pgno > FETCHES_MAX });
  const { rows } = await runQuery(engine, request({ ...over, source }));
  expect(rows[0]?.[0]).toBe(3000n);
  expect(source.loads).toBeGreaterThan(FETCHES_MAX);
});
