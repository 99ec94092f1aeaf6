/** What statements are said to read as a whole, by their own programs, on the build under test. */
import { describe, expect, it } from "vitest";
import { describeStatement } from "../../worker/sqlite/describe-statement.ts";
import { Engine } from "../../worker/sqlite/engine.ts";
import { type QueryRequest, runQuery } from "../../worker/sqlite/run-query.ts";
import { build } from "./support-engine/build-under-test.ts";
import {
  database,
  type EngineDatabase,
  FULL_TEXT,
  request,
  slowSource,
} from "./support-engine/sources.ts";

const main = database("4096-byte pages");
const fullText = database(FULL_TEXT);
const engine = new Engine(build);

/** Names of what begins with some pages. */
async function namesOf(of: EngineDatabase, rootPgnos: readonly number[]): Promise<string[]> {
  const sql = "SELECT rootpage, name FROM sqlite_schema UNION SELECT 1, 'sqlite_schema'";
  const { rows } = await runQuery(engine, request({ source: slowSource(of), sql }));
  const names = new Map(rows.map(([rootPgno, name]) => [Number(rootPgno), String(name)]));
  return rootPgnos.map((rootPgno) => names.get(rootPgno) ?? `page ${rootPgno}`).toSorted();
}

async function expected(
  sql: string,
  of = main,
  args: QueryRequest["args"] = [],
): Promise<string[]> {
  const source = slowSource(of);
  await runQuery(
    engine,
    request({ source, sql, args, sourceKey: of === main ? "main" : "full-text" }),
  );
  return await namesOf(of, source.expected);
}

describe("a statement is known to read as a whole", () => {
  it.each<[string, string, string[]]>([
    ["the index that it counts", "SELECT count(*) FROM t", ["t_k"]],
    ["the table that it counts with a condition", "SELECT count(*) FROM t WHERE n > 5", ["t"]],
    ["the table that it sums", "SELECT sum(n) FROM t", ["t"]],
    [
      "the table of which it wants the least and the greatest",
      "SELECT min(n), max(v) FROM t",
      ["t"],
    ],
    ["the table of which it wants the greatest, and its row", "SELECT max(n), k FROM t", ["t"]],
    ["what it groups in a sorter", "SELECT n % 7, count(*) FROM t GROUP BY 1", ["t"]],
    ["what it sorts", "SELECT id FROM t ORDER BY r", ["t"]],
    ["what it sorts for the first few", "SELECT id FROM t ORDER BY r LIMIT 5", ["t"]],
    ["a table without rowids", "SELECT count(value) FROM kinds", ["kinds"]],
    ["what it counts without what is the same", "SELECT count(DISTINCT n) FROM t", ["t"]],
    [
      "the tables of a UNION that sorts them",
      "SELECT n FROM t UNION SELECT value FROM kinds",
      ["kinds", "t"],
    ],
    [
      "what each part of a UNION ALL counts",
      "SELECT count(*) FROM t UNION ALL SELECT count(value) FROM kinds",
      ["kinds", "t_k"],
    ],
    [
      "the outer table of a join by key",
      "SELECT count(*) FROM kinds JOIN t ON t.id = kinds.value",
      ["kinds"],
    ],
    [
      "a table that is joined with rows of its own",
      "SELECT count(*) FROM t a JOIN t b ON b.id = a.n",
      ["t"],
    ],
    [
      "the outer table of an outer join",
      "SELECT count(*) FROM t LEFT JOIN kinds ON kinds.value = t.n",
      ["t"],
    ],
    [
      "what a common table is made of",
      "WITH m AS MATERIALIZED (SELECT n FROM t) SELECT count(*) FROM m a, m b WHERE a.n < 3 AND b.n < 3",
      ["t"],
    ],
    [
      "what a view groups by a sorter",
      "SELECT sum(total) FROM (SELECT n % 7 AS m, sum(n) AS total FROM t GROUP BY m)",
      ["t"],
    ],
    ["what a window goes over", "SELECT sum(n) OVER (ORDER BY r) FROM t LIMIT 3", ["t"]],
    ["the rows of an IN", "SELECT id FROM t WHERE n IN (SELECT value FROM kinds)", ["kinds"]],
    [
      "a table each of whose rows is taken apart",
      "SELECT count(*) FROM t, json_each('[' || t.n || ']')",
      ["t"],
    ],
    ["the schema", "SELECT count(*) FROM sqlite_schema", ["sqlite_schema"]],
  ])("%s", async (_, sql, names) => {
    expect(await expected(sql)).toEqual(names);
  });

  it.each<[string, string]>([
    ["one row by its key", "SELECT * FROM t WHERE id = 7"],
    ["a range", "SELECT count(*) FROM t WHERE id BETWEEN 7 AND 70"],
    ["an open range", "SELECT count(*) FROM t WHERE id < 2900"],
    ["rows by an index", "SELECT count(v) FROM t WHERE k > 'k1'"],
    ["all rows, of which it may be given only some", "SELECT * FROM t"],
    ["all rows in the order of an index", "SELECT k FROM t ORDER BY k"],
    ["the first rows", "SELECT * FROM t LIMIT 3"],
    ["the first rows of a subquery", "SELECT count(*) FROM (SELECT n FROM t WHERE n > 0 LIMIT 3)"],
    ["the least of an index", "SELECT min(k) FROM t"],
    ["groups in the order of an index", "SELECT k, count(*) FROM t GROUP BY k"],
    ["whether there is one", "SELECT EXISTS (SELECT 1 FROM t WHERE n = 5)"],
    ["different values, as they come", "SELECT DISTINCT n FROM t"],
    ["a UNION ALL, as it comes", "SELECT n FROM t UNION ALL SELECT value FROM kinds"],
    [
      "no table",
      "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 9) SELECT sum(x) FROM c",
    ],
    ["a table's columns", "SELECT count(*) FROM pragma_table_info('t')"],
    ["nothing but what the pragma does", "PRAGMA integrity_check"],
    ["nothing", "EXPLAIN SELECT count(*) FROM t"],
  ])("and nothing where it reads %s", async (_, sql) => {
    expect(await expected(sql)).toEqual([]);
  });

  it("also where its condition hangs on an argument", async () => {
    expect(
      await expected("SELECT id FROM t WHERE r > ? ORDER BY n LIMIT ?", main, [1.5, 2n]),
    ).toEqual(["t"]);
  });

  it("beside a virtual table, and nothing of that", async () => {
    const search = "SELECT rowid FROM notes WHERE notes MATCH 'w33'";
    expect(
      await expected(`SELECT count(*) FROM t WHERE n > 0 AND id IN (${search})`, fullText),
    ).toEqual([]);
    expect(
      await expected(`SELECT count(*) FROM t WHERE n > 0 AND id NOT IN (${search})`, fullText),
    ).toEqual(["t"]);
    expect(await expected("SELECT count(*) FROM notes", fullText)).toEqual([]);
  });

  it("as often as it is run, and the next one on the same source anew", async () => {
    const source = slowSource(main);
    const ask = (sql: string) => runQuery(engine, request({ source, sql, sourceKey: "main" }));
    for (let time = 0; time < 2; time++) {
      await ask("SELECT sum(r) FROM t");
      expect(await namesOf(main, source.expected)).toEqual(["t"]);
      await ask("SELECT r FROM t WHERE id = 3");
      expect(source.expected).toEqual([]);
    }
  });

  it("after it was described", async () => {
    const source = slowSource(main);
    const asked = { ...request({ source, sql: "SELECT avg(r) FROM t" }), sourceKey: "described" };
    const description = await describeStatement(engine, asked);
    expect(description).toMatchObject({ isReadOnly: true, isExplain: false });
    await runQuery(engine, asked);
    expect(await namesOf(main, source.expected)).toEqual(["t"]);
  });
});
