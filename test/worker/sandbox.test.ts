import { describe, expect, it } from "vitest";
import { executeQuery } from "../../worker/sqlite/execute-query.ts";
import { LiveInstance } from "../../worker/sqlite/live-instance.ts";
import { type QueryRequest, runQuery } from "../../worker/sqlite/run-query.ts";
import { build, engineUnderTest, forBuild } from "./support-engine/build-under-test.ts";
import { database, FULL_TEXT, LIMITS, request, slowSource } from "./support-engine/sources.ts";

const main = database(FULL_TEXT);

async function query(sql: string, over: Partial<QueryRequest> = {}) {
  const engine = await engineUnderTest();
  return runQuery(engine, request({ source: slowSource(main), sql, ...over }));
}

function nested(open: string, core: string, close: string, count: number): string {
  return open.repeat(count) + core + close.repeat(count);
}

describe("the authorizer", () => {
  it.each([
    "INSERT INTO t (k) VALUES ('x')",
    "UPDATE t SET k = 'x'",
    "DELETE FROM t",
    "REPLACE INTO t (id, k) VALUES (1, 'x')",
    "INSERT INTO t (k) VALUES ('x') RETURNING id",
    "WITH x AS (SELECT 1) DELETE FROM t",
    "EXPLAIN DELETE FROM t",
    "CREATE TABLE x (a)",
    "CREATE TABLE x AS SELECT * FROM t",
    "CREATE TEMP TABLE x (a)",
    "CREATE INDEX x ON t (v)",
    "CREATE VIEW x AS SELECT 1",
    "CREATE TEMP VIEW x AS SELECT 1",
    "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END",
    "CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END",
    "CREATE VIRTUAL TABLE x USING fts4(a)",
    "CREATE VIRTUAL TABLE temp.x USING fts4(a)",
    "DROP TABLE t",
    "DROP INDEX t_k",
    "DROP VIEW totals",
    "DROP TABLE notes",
    "ALTER TABLE t RENAME TO u",
    "ALTER TABLE t ADD COLUMN z",
    "ALTER TABLE t DROP COLUMN v",
    "REINDEX",
    "ANALYZE",
    "VACUUM",
    "VACUUM INTO '/tmp/x'",
    "ATTACH ':memory:' AS other",
    "ATTACH '/database-1' AS other",
    "DETACH main",
    "BEGIN",
    "BEGIN IMMEDIATE",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT s",
    "RELEASE s",
    "ROLLBACK TO s",
    "INSERT INTO notes (notes) VALUES ('optimize')",
    ...forBuild({
      sqljs: [
        "SELECT optimize(notes) FROM notes LIMIT 1",
        "SELECT fts3_tokenizer('simple')",
        "SELECT fts3_tokenizer('x', x'00')",
      ],
      official: [
        "INSERT INTO notes (notes) VALUES ('integrity-check')",
        "DELETE FROM notes_data",
        "UPDATE notes_content SET c0 = 'x'",
        "INSERT INTO boxes VALUES (9, 0, 1, 0, 1, 'x')",
        "DELETE FROM boxes",
        "UPDATE boxes SET x1 = 9",
        "INSERT INTO boxes_node VALUES (9, x'00')",
        "DELETE FROM boxes_node",
        "UPDATE boxes_node SET data = x'00'",
        "REPLACE INTO boxes_rowid VALUES (1, 1, 'x')",
        "DELETE FROM tiles_parent",
        "DROP TABLE boxes",
        "DROP TABLE boxes_node",
        "CREATE VIRTUAL TABLE x USING rtree(id, a, b)",
      ],
    }),
    "SELECT sqlite_log(1, 'x')",
    "PRAGMA writable_schema = 1",
    "PRAGMA writable_schema",
    "PRAGMA journal_mode = WAL",
    "PRAGMA journal_mode",
    "PRAGMA cache_size = 100000",
    "PRAGMA hard_heap_limit = 1000000000",
    "PRAGMA temp_store = 1",
    "PRAGMA temp_store_directory = '/tmp'",
    "PRAGMA mmap_size = 1000000",
    "PRAGMA user_version = 9",
    "PRAGMA schema_version = 9",
    "PRAGMA page_size = 512",
    "PRAGMA encoding = 'UTF-16'",
    "PRAGMA wal_checkpoint",
    "PRAGMA incremental_vacuum",
    "PRAGMA optimize",
    "PRAGMA shrink_memory",
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA database_list",
    "PRAGMA query_only = 0",
    "PRAGMA trusted_schema = 1",
    "PRAGMA no_such_pragma",
    "PRAGMA data_version",
    "PRAGMA main.data_version",
    "SELECT * FROM pragma_data_version",
    "SELECT 1 FROM pragma_data_version",
    "SELECT * FROM pragma_database_list",
  ])("refuses %s", async (sql) => {
    await expect(query(sql)).rejects.toMatchObject({
      code: "READ_ONLY",
      message: expect.stringContaining(" "),
    });
  });

  it.each([
    ["DELETE FROM t", "DELETE is not allowed: a replica can only be read; write to its source"],
    ["CREATE TABLE x (a)", "a change of the schema is not allowed"],
    ["ATTACH ':memory:' AS other", "ATTACH is not allowed"],
    ["BEGIN", "BEGIN is not allowed: each query reads one transaction of the database"],
    ["COMMIT", "COMMIT is not allowed"],
    ["SAVEPOINT s", "SAVEPOINT is not allowed"],
    ["PRAGMA journal_mode", "PRAGMA journal_mode is not one of those that a query may use"],
    ["PRAGMA user_version = 9", "PRAGMA user_version may be read here, not set"],
    ["SELECT sqlite_log(1, 'x')", "the function sqlite_log is not allowed"],
  ])("says of %s why", async (sql, message) => {
    await expect(query(sql)).rejects.toMatchObject({ message: expect.stringContaining(message) });
  });

  it("knows no function that loads code or reads files", async () => {
    for (const call of [
      "load_extension('x')",
      "readfile('x')",
      "writefile('x', 'y')",
      "edit('x')",
    ]) {
      await expect(query(`SELECT ${call}`)).rejects.toMatchObject({
        code: expect.stringMatching(/^(SQLITE_ERROR|READ_ONLY)$/),
      });
    }
  });

  it.each([
    "sqlite_dbpage",
    "dbstat",
    "sqlite_stmt",
    "bytecode('SELECT 1')",
    "tables_used('SELECT 1')",
    "fts3tokenize",
  ])("knows no table that is not of the database: %s", async (table) => {
    await expect(query(`SELECT * FROM ${table}`)).rejects.toMatchObject({
      code: expect.stringMatching(/^(SQLITE_ERROR|READ_ONLY)$/),
    });
  });

  it.each([
    ["PRAGMA table_info('t')", 5],
    ["PRAGMA table_xinfo(t)", 5],
    ["SELECT 1 FROM pragma_table_list WHERE name = 't'", 1],
    ["SELECT 1 FROM pragma_compile_options WHERE compile_options LIKE 'THREADSAFE%'", 1],
    ["SELECT DISTINCT 1 FROM pragma_function_list WHERE name = 'abs'", 1],
    ["PRAGMA index_list('t')", 1],
    ["PRAGMA index_info('t_k')", 1],
    ["PRAGMA index_xinfo('t_k')", 2],
    ["PRAGMA foreign_key_list('t')", 0],
    ["PRAGMA foreign_keys", 1],
    ["PRAGMA foreign_keys = ON", 0],
    ["PRAGMA schema_version", 1],
    ["PRAGMA user_version", 1],
    ["PRAGMA page_size", 1],
    ["PRAGMA page_count", 1],
    // The official build knows UTF-8 only, and has left this pragma out.
    ["PRAGMA encoding", forBuild({ sqljs: 1, official: 0 })],
    ["PRAGMA quick_check", 1],
    ["PRAGMA integrity_check(5)", 1],
    ["SELECT name FROM pragma_index_list('t')", 1],
    ["SELECT * FROM sqlite_schema WHERE name = 'totals'", 1],
    ["SELECT count(*) FROM notes WHERE notes MATCH 'w5'", 1],
  ])("lets %s through", async (sql, rowCount) => {
    expect((await query(sql)).rows).toHaveLength(rowCount);
  });

  it("leaves nothing of a pragma to the next query on the connection", async () => {
    await query("PRAGMA foreign_keys = ON", { sourceKey: "pragmas" });
    const { rows } = await query("PRAGMA foreign_keys", { sourceKey: "pragmas" });
    expect(rows).toEqual([[0n]]);
  });
});

describe("SQLite's limits", () => {
  it.each([
    ["a deep expression", `SELECT 1${"+1".repeat(200)}`, "Expression tree is too large"],
    ["a compound of many terms", `SELECT 1${" UNION SELECT 2".repeat(30)}`, "too many terms"],
    ["deep parentheses", nested("SELECT * FROM (", "SELECT 1", ")", 1_000), "Recursion limit"],
    ["a long pattern", `SELECT 'a' LIKE '${"%a".repeat(3_000)}'`, "pattern too complex"],
    ["a parameter beyond 1,000", "SELECT ?1001", "variable number must be between ?1 and ?1000"],
    ["a JSON path too deep", `SELECT json_set('{}', '$${".a".repeat(2_000)}', 1)`, "too deep"],
  ])("refuse %s", async (_name, sql, message) => {
    await expect(query(sql)).rejects.toMatchObject({ message: expect.stringContaining(message) });
  });

  it("keep the worst that still runs within half of its private stack", async () => {
    const live = new LiveInstance(build, 24 * 1024 * 1024);
    const worst = [
      nested("SELECT * FROM (", "SELECT 1 UNION SELECT 2", " UNION SELECT 3)", 60),
      `SELECT ${nested("abs(", "1", ")", 90)}`,
      `SELECT length(json_set('{}', '$${".a".repeat(990)}', 1))`,
      `SELECT replace(hex(zeroblob(5000)), '00', 'a') LIKE '${"%a".repeat(2_400)}b'`,
      ...forBuild({
        sqljs: [`SELECT count(*) FROM notes WHERE notes MATCH '${nested("(", "w1", ")", 990)}'`],
        official: [
          `SELECT count(*) FROM notes WHERE notes MATCH '${nested("(", "w1", ")", 90)}'`,
          `SELECT bm25(notes) FROM notes WHERE notes MATCH 'w1${" NOT w2 OR w3".repeat(60)}'`,
          "SELECT rtreecheck('boxes'), rtreecheck('tiles')",
          "PRAGMA integrity_check",
        ],
      }),
      `SELECT ${nested("(SELECT ", "1", ")", 10)}`,
    ];
    for (const sql of worst) {
      await executeQuery(live, request({ source: slowSource(main), sql }), () => {});
    }
    expect(live.deepestStackBytes()).toBeLessThan(132 * 1024);
    expect(live.deepestStackBytes()).toBeGreaterThan(64 * 1024);
  });
});

describe("budgets", () => {
  const runaway = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)";

  it("end a query that never ends", async () => {
    const limits = { ...LIMITS, vmStepsMax: 1_000_000 };
    await expect(query(`${runaway} SELECT count(*) FROM c`, { limits })).rejects.toMatchObject({
      code: "QUERY_TIMEOUT",
      message: expect.stringContaining("1000000 steps"),
    });
  });

  it("count a query's steps", async () => {
    const small = await query("SELECT 1");
    const large = await query(`${runaway} SELECT count(*) FROM (SELECT x FROM c LIMIT 100000)`);
    expect(small.vmSteps).toBe(0);
    expect(large.vmSteps).toBeGreaterThan(500_000);
    expect(large.vmSteps).toBeLessThan(5_000_000);
  });

  it("end rows at their maximum and say so", async () => {
    const limits = { ...LIMITS, rowsMax: 10 };
    const more = await query("SELECT id FROM t ORDER BY id", { limits });
    expect(more).toMatchObject({ truncated: true });
    expect(more.rows.map(([id]) => Number(id))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    const exact = await query("SELECT id FROM t ORDER BY id LIMIT 10", { limits });
    expect(exact).toMatchObject({ truncated: false });
    expect(exact.rows).toHaveLength(10);
  });

  it("give back every row of a result of many batches", async () => {
    const { rows, truncated } = await query("SELECT id FROM t ORDER BY id");
    expect(truncated).toBe(false);
    expect(rows.map(([id]) => Number(id))).toEqual(Array.from({ length: 3000 }, (_, i) => i + 1));
  });

  it("refuse a result with too many bytes", async () => {
    const limits = { ...LIMITS, resultBytesMax: 100_000 };
    await expect(query("SELECT v FROM t", { limits })).rejects.toMatchObject({
      code: "RESULT_TOO_LARGE",
      message: expect.stringContaining("100000 bytes"),
    });
  });

  it("end a query that waits for too many pages, or too many bytes", async () => {
    const sql = "SELECT count(*), sum(length(v)) FROM t";
    const few = { ...LIMITS, faultsMax: 3 };
    await expect(query(sql, { sourceKey: "faults", limits: few })).rejects.toMatchObject({
      code: "FAULT_BUDGET",
      message: expect.stringContaining("3 pages of 4096 bytes"),
    });
    const bytes = { ...LIMITS, faultBytesMax: 20_000 };
    await expect(query(sql, { sourceKey: "bytes", limits: bytes })).rejects.toMatchObject({
      code: "FAULT_BUDGET",
      message: expect.stringContaining("4 pages of 4096 bytes"),
    });
    expect((await query(sql, { sourceKey: "faults" })).rows[0]?.[0]).toBe(3000n);
  });

  it("end a sort that needs too much memory, and the engine lives on", async () => {
    const sql = `${runaway} SELECT x FROM (SELECT x, zeroblob(100000) AS b FROM c LIMIT 1000) ORDER BY x % 7, b`;
    const engine = await engineUnderTest();
    await expect(query(sql)).rejects.toMatchObject({
      code: "SQLITE_ERROR",
      details: { sqlite_code: 7 },
      message: expect.stringContaining("more memory"),
    });
    expect((await query("SELECT count(*) FROM t")).rows).toEqual([[3000n]]);
    expect(engine.stats()).toMatchObject({ retired: 0, busyConnections: 0, running: 0 });
    expect(engine.stats().memoryBytes).toBeLessThanOrEqual(64 * 1024 * 1024);
  });
});
