import { describe, expect, it } from "vitest";
import { type QueryRequest, runQuery } from "../../worker/sqlite/run-query.ts";
import type { SqlArgs, SqlValue } from "../../worker/sqlite/values.ts";
import { engineUnderTest, forBuild } from "./support-engine/build-under-test.ts";
import { database, DATABASES, request, slowSource, tag } from "./support-engine/sources.ts";

const main = database("4096-byte pages");

async function query(sql: string, args: SqlArgs = [], over: Partial<QueryRequest> = {}) {
  const engine = await engineUnderTest();
  return runQuery(engine, request({ source: slowSource(main), sql, args, ...over }));
}

async function one(sql: string, args: SqlArgs = []): Promise<readonly SqlValue[]> {
  const { rows } = await query(sql, args);
  return rows[0] ?? [];
}

describe("runQuery", () => {
  it.each(DATABASES)("answers what the real SQLite answers on %s", async (name) => {
    const engine = await engineUnderTest();
    const opened = database(name);
    for (const { sql, rows } of opened.answers) {
      const source = slowSource(opened);
      const result = await runQuery(engine, request({ source, sourceKey: name, sql }));
      expect({ sql, rows: result.rows.map((row) => row.map(tag)) }).toEqual({ sql, rows });
    }
  });

  it("reads the pages of a point query and no others", async () => {
    const source = slowSource(main);
    const sourceKey = "pages of a point query";
    const engine = await engineUnderTest();
    const sql = "SELECT v FROM t WHERE k = 'k777'";
    const { rows } = await runQuery(engine, request({ source, sourceKey, sql }));
    expect(rows).toHaveLength(1);
    // Page 1 with the schema, root and leaf of the index, root and leaf of the table.
    expect(source.loads).toBe(5);
  });

  it("asks for no page again while the connection is warm", async () => {
    const engine = await engineUnderTest();
    const sql = "SELECT v FROM t WHERE id = 1234";
    const sourceKey = "warm";
    await runQuery(engine, request({ source: slowSource(main), sourceKey, sql }));
    const source = slowSource(main);
    await runQuery(engine, request({ source, sourceKey, sql }));
    expect(source.loads).toBe(0);
  });

  it("never shows a connection of one transaction to a query of another", async () => {
    const engine = await engineUnderTest();
    const bytes = main.bytes.slice();
    // An older database: the value in one row differs, at the same length.
    const text = new TextDecoder("latin1").decode(bytes);
    const at = text.indexOf(`${"0".repeat(46)}0777`);
    bytes.set(new TextEncoder().encode("9999"), at + 46);
    const sql = "SELECT v FROM t WHERE id = 777";
    const now = await runQuery(
      engine,
      request({ source: slowSource(main), sourceKey: "db@2", sql }),
    );
    const before = await runQuery(
      engine,
      request({ source: slowSource({ ...main, bytes }), sourceKey: "db@1", sql }),
    );
    expect(now.rows[0]?.[0]).toMatch(/0777$/);
    expect(before.rows[0]?.[0]).toMatch(/9999$/);
  });
});

describe("columns", () => {
  it("have their names, and declared types where they are plain", async () => {
    const { columns } = await query('SELECT id, k AS "the key", n + 1, r FROM t LIMIT 1');
    expect(columns).toEqual([
      { name: "id", decltype: "INTEGER" },
      { name: "the key", decltype: "TEXT" },
      { name: "n + 1", decltype: null },
      { name: "r", decltype: "REAL" },
    ]);
  });

  it("are there without a row, and keep equal names apart", async () => {
    const { columns, rows } = await query("SELECT id, k, id FROM t WHERE 0");
    expect(rows).toEqual([]);
    expect(columns.map(({ name }) => name)).toEqual(["id", "k", "id"]);
  });

  it("of EXPLAIN and of a pragma have no declared types", async () => {
    const explained = await query("EXPLAIN SELECT 1");
    expect(explained.columns[0]).toEqual({ name: "addr", decltype: null });
    const pragma = await query("PRAGMA page_size");
    expect(pragma.columns).toEqual([{ name: "page_size", decltype: null }]);
    expect(pragma.rows).toEqual([[4096n]]);
  });
});

describe("arguments", () => {
  it.each<[string, SqlValue, string]>([
    ["NULL", null, "null"],
    ["zero", 0n, "integer"],
    ["an int32", -5n, "integer"],
    ["beyond an int32", 4_294_967_297n, "integer"],
    ["2^53 + 1", 9_007_199_254_740_993n, "integer"],
    ["-(2^53 + 1)", -9_007_199_254_740_993n, "integer"],
    ["the largest INTEGER", 9_223_372_036_854_775_807n, "integer"],
    ["the smallest INTEGER", -9_223_372_036_854_775_808n, "integer"],
    ["a whole REAL", 2, "real"],
    ["minus zero", -0, "real"],
    ["infinity", Number.POSITIVE_INFINITY, "real"],
    ["the smallest REAL", 5e-324, "real"],
    ["an empty text", "", "text"],
    ["text beyond the BMP", "👩‍🚀 𝄞 Zürich", "text"],
    ["text with a NUL", "a\0b", "text"],
    ["text that begins with U+FEFF", "\ufeffx", "text"],
    ["an empty blob", new Uint8Array(), "blob"],
    ["a blob", Uint8Array.of(0, 255, 1), "blob"],
  ])("%s comes back as it went in", async (_name, value, type) => {
    expect(await one("SELECT ?1, typeof(?1)", [value])).toEqual([value, type]);
  });

  it("NaN is NULL, as SQLite has it", async () => {
    expect(await one("SELECT ?", [Number.NaN])).toEqual([null]);
  });

  it.each<[string, string, SqlArgs]>([
    ["by position", "SELECT ?, ?", [1n, "two"]],
    ["by number", "SELECT ?2, ?1", ["two", 1n]],
    ["by name without a prefix", "SELECT :a, @b", { a: 1n, b: "two" }],
    ["by name with a prefix", "SELECT $a, :b", { $a: 1n, ":b": "two" }],
    ["by position where the SQL has names", "SELECT :a, :b", [1n, "two"]],
  ])("are bound %s", async (_name, sql, args) => {
    expect(await one(sql, args)).toEqual([1n, "two"]);
  });

  it.each<[string, string, SqlArgs, string]>([
    ["too few", "SELECT ?, ?", [1n], "has 2 parameters, and 1 arguments"],
    ["too many", "SELECT ?", [1n, 2n], "has 1 parameters, and 2 arguments"],
    ["some for none", "SELECT 1", [1n], "has 0 parameters, and 1 arguments"],
    ["an unknown name", "SELECT :a", { a: 1n, other: 2n }, "no parameter named other"],
    ["a name without a value", "SELECT :a, :b", { a: 1n }, "no argument was given for parameter 2"],
    ["names where there are none", "SELECT ?", { a: 1n }, "no parameter named a"],
  ])("are refused: %s", async (_name, sql, args, message) => {
    await expect(query(sql, args)).rejects.toMatchObject({
      code: "ARGS_MISMATCH",
      message: expect.stringContaining(message),
    });
  });
});

describe("the text of a query", () => {
  it.each([
    ["a semicolon", "SELECT 1;"],
    ["semicolons and space", "SELECT 1 ; \n\t;; "],
    ["a comment", "SELECT 1; -- that was all"],
    ["comments before and after", "/* first */ SELECT 1 /* then */; /* last; SELECT 2 */ --"],
    ["a comment that does not end", "SELECT 1; /* SELECT 2"],
  ])("may end in %s", async (_name, sql) => {
    expect((await query(sql)).rows).toEqual([[1n]]);
  });

  it.each<[string, string, string, string, number | undefined]>([
    ["nothing", "", "SQL_PARSE", "no statement", undefined],
    ["a comment alone", "-- SELECT 1", "SQL_PARSE", "no statement", undefined],
    ["a slip", "SELECT 1 FORM t", "SQL_PARSE", 'near "t": syntax error', 14],
    ["half a statement", "SELECT 1 +", "SQL_PARSE", "incomplete input", undefined],
    ["what is no token", "SELECT #", "SQL_PARSE", 'unrecognized token: "#"', 7],
    ["a NUL", "SELECT 1\0", "SQL_PARSE", "NUL", 8],
    ["more than 100,000 bytes", `SELECT 1${" ".repeat(100_000)}`, "SQL_PARSE", "bytes", undefined],
    ["two statements", "SELECT 1; SELECT 2", "MANY_STATEMENTS", "more than one", 10],
    ["a broken second", "SELECT 1; SELEC", "MANY_STATEMENTS", "more than one", 10],
    ["an unknown table", "SELECT * FROM nope", "SQLITE_ERROR", "no such table: nope", undefined],
    ["an unknown column", "SELECT nope FROM t", "SQLITE_ERROR", "no such column: nope", 7],
    ["an unknown function", "SELECT nope(1)", "SQLITE_ERROR", "no such function: nope", 7],
    ["an overflow", "SELECT abs(-9223372036854775807 - 1)", "SQLITE_ERROR", "overflow", undefined],
    ["bad JSON", "SELECT json('{')", "SQLITE_ERROR", "malformed JSON", undefined],
  ])("is refused: %s", async (_name, sql, code, message, position) => {
    await expect(query(sql)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
      details: position === undefined ? {} : { position },
    });
  });

  it.each(
    forBuild<[string, string][]>({
      sqljs: [
        ["articles", "fts5"],
        ["boxes", "rtree"],
        ["places", "spatial"],
      ],
      official: [
        ["letters", "fts4"],
        ["places", "spatial"],
      ],
    }),
  )("that needs a module which is not there names the table: %s", async (table, module) => {
    const source = slowSource(database("with tables that need all modules"));
    const engine = await engineUnderTest();
    const run = (sql: string) => runQuery(engine, request({ source, sourceKey: "modules", sql }));
    await expect(run(`SELECT count(*) FROM ${table}`)).rejects.toMatchObject({
      code: "UNSUPPORTED_MODULE",
      message: `the table ${table} needs the SQLite module ${module}, which is not available here`,
    });
    expect((await run("SELECT name FROM plain")).rows).toEqual([["served"]]);
  });
});

describe("deterministic", () => {
  it.each([
    ["SELECT count(*), upper(k) FROM t", true],
    ["SELECT k, total FROM totals LIMIT 1", true],
    ["PRAGMA table_info('t')", true],
    ["SELECT random()", false],
    ["SELECT hex(randomblob(4))", false],
    ["SELECT 1 ORDER BY random()", false],
    ["SELECT datetime('now')", false],
    ["SELECT CURRENT_TIMESTAMP", false],
    ["SELECT current_date", false],
    ["SELECT strftime('%Y', 'now') WHERE 1", false],
    ["SELECT id FROM t WHERE id > unixepoch() LIMIT 1", false],
    ["SELECT changes()", false],
    ["SELECT sqlite_version()", false],
    ["PRAGMA compile_options", false],
  ])("of %s is %s", async (sql, deterministic) => {
    expect((await query(sql)).deterministic).toBe(deterministic);
  });
});
