import { describe, expect, it } from "vitest";
import { describeStatement } from "../../worker/sqlite/describe-statement.ts";
import { Engine } from "../../worker/sqlite/engine.ts";
import { runQuery } from "../../worker/sqlite/run-query.ts";
import { build, forBuild } from "./support-engine/build-under-test.ts";
import { database, FULL_TEXT, LIMITS, request, slowSource } from "./support-engine/sources.ts";

const main = database(FULL_TEXT);
const engine = new Engine(build);

async function describeSql(sql: string) {
  const over = { source: slowSource(main), sql, sourceKey: "described" };
  return await describeStatement(engine, { limits: LIMITS, ...over });
}

describe("describeStatement", () => {
  it("says a query's parameters and columns", async () => {
    expect(await describeSql('SELECT id, v AS "the value", n + ? FROM t WHERE k = :key')).toEqual({
      parameters: [null, ":key"],
      columns: [
        { name: "id", decltype: "INTEGER" },
        { name: "the value", decltype: "TEXT" },
        { name: "n + ?", decltype: null },
      ],
      isReadOnly: true,
      isExplain: false,
    });
  });

  it.each<[string, (string | null)[]]>([
    ["SELECT 1", []],
    ["SELECT ?, ?", [null, null]],
    ["SELECT ?3, ?", [null, null, "?3", null]],
    ["SELECT :a, @b, $c, :a", [":a", "@b", "$c"]],
    ["SELECT $a::b, $c::d(e), :f::g", ["$a::b", "$c::d(e)", ":f::g"]],
    ["SELECT :größe, :a$b", [":größe", ":a$b"]],
    ["SELECT ':no', \"v\", [k], /* :no */ :yes FROM t -- :no", [":yes"]],
    ["SELECT ':a', :b, :a", [":b", ":a"]],
    ["SELECT abs(:x)", [":x"]],
    ["SELECT v AS a$b, abs(:x) FROM t", [":x"]],
  ])("names the parameters of %s", async (sql, parameters) => {
    expect((await describeSql(sql)).parameters).toEqual(parameters);
  });

  it.each([
    ["EXPLAIN SELECT 1", true],
    [" ;; /* why */ explain query plan SELECT 1", true],
    ["\ufeffExplain/**/SELECT 1", true],
    ["SELECT 'EXPLAIN'", false],
    ["WITH explained AS (SELECT 1) SELECT * FROM explained", false],
  ])("of %s says whether it is EXPLAIN: %s", async (sql, isExplain) => {
    expect(await describeSql(sql)).toMatchObject({ isExplain, isReadOnly: true });
  });

  it.each([
    ["INSERT INTO t (k, v) VALUES (:k, ?)", [":k", null], []],
    ["UPDATE t SET v = ?1 WHERE id = ?2 RETURNING id", ["?1", "?2"], ["id"]],
    ["DELETE FROM t WHERE id = $id", ["$id"], []],
    ["WITH x AS (SELECT 1) DELETE FROM t WHERE id IN x", [], []],
    ["INSERT INTO notes (body) VALUES (@body)", ["@body"], []],
  ])("describes %s, which cannot be run", async (sql, parameters, columns) => {
    const description = await describeSql(sql);
    expect(description).toMatchObject({ parameters, isReadOnly: false, isExplain: false });
    expect(description.columns.map(({ name }) => name)).toEqual(columns);
    const run = request({
      source: slowSource(main),
      sql: sql.replaceAll(/[:@$?]\w*/g, "1"),
      sourceKey: "described",
    });
    await expect(runQuery(engine, run)).rejects.toMatchObject({ code: "READ_ONLY" });
  });

  it.each(
    forBuild({
      sqljs: ["SELECT body FROM notes", "SELECT 1 FROM notes WHERE notes MATCH 'w1'"],
      // Opening an R*Tree compiles statements that would write.
      official: ["SELECT label FROM boxes", "SELECT rank FROM notes WHERE notes MATCH 'w1'"],
    }),
  )("says that %s only reads", async (sql) => {
    const own = new Engine(build);
    const over = { source: slowSource(main), sql, limits: LIMITS, sourceKey: "reads" };
    expect(await describeStatement(own, over)).toMatchObject({ isReadOnly: true });
  });

  it.each([
    ["CREATE TABLE x (a)", "READ_ONLY"],
    ["CREATE TEMP TABLE x (a)", "READ_ONLY"],
    ["DELETE FROM sqlite_schema", "READ_ONLY"],
    ["PRAGMA user_version = 9", "READ_ONLY"],
    ["PRAGMA journal_mode", "READ_ONLY"],
    ["ATTACH ':memory:' AS other", "READ_ONLY"],
    ["BEGIN", "READ_ONLY"],
    ["SELECT sqlite_log(1, 'x')", "READ_ONLY"],
    // Where the official build would write a shadow table, it says so before it asks.
    ["DELETE FROM boxes_node", forBuild({ sqljs: "SQLITE_ERROR", official: "READ_ONLY" })],
    ["SELECT * FROM nope", "SQLITE_ERROR"],
    ["INSERT INTO nope VALUES (1)", "SQLITE_ERROR"],
    ["SELECT 1; SELECT 2", "MANY_STATEMENTS"],
    ["SELEC", "SQL_PARSE"],
    ["", "SQL_PARSE"],
  ])("refuses %s with %s", async (sql, code) => {
    await expect(describeSql(sql)).rejects.toMatchObject({ code });
  });

  it("runs nothing: it reads the schema, and no page of a table", async () => {
    const source = slowSource(main);
    const sql = "SELECT sum(length(v)) FROM t WHERE k LIKE :pattern";
    await describeStatement(engine, { source, sourceKey: "pages", sql, limits: LIMITS });
    expect(source.loads).toBe(1);
  });

  it("leaves the statement compiled for the query that follows", async () => {
    const own = new Engine(build);
    const sql = "SELECT v FROM t WHERE id = ?";
    const over = { source: slowSource(main), sourceKey: "next", sql };
    await describeStatement(own, { limits: LIMITS, ...over });
    const { rows } = await runQuery(own, request({ ...over, args: [7n] }));
    expect(rows).toEqual([["7".padStart(50, "0")]]);
    expect(own.stats()).toMatchObject({ running: 0, busyConnections: 0, idleConnections: 1 });
  });
});
