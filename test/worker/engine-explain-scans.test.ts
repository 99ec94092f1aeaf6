/** How the engine asks for a statement's program, and that nothing else comes of it. */
import { describe, expect, it } from "vitest";
import { ReplicaError } from "../../shared/errors.ts";
import type { SqliteInstance } from "../../worker/sqlite/build.ts";
import { Engine } from "../../worker/sqlite/engine.ts";
import type { PageSource } from "../../worker/sqlite/page-source.ts";
import { type QueryRequest, runQuery } from "../../worker/sqlite/run-query.ts";
import { build } from "./support-engine/build-under-test.ts";
import { changedBuild } from "./support-engine/changed-build.ts";
import { database, request, slowSource } from "./support-engine/sources.ts";

const main = database("4096-byte pages");

/** A source that nobody need tell anything. */
function untold(): PageSource {
  const source = slowSource(main);
  return {
    pageSize: source.pageSize,
    pageCount: source.pageCount,
    resident: (pgno) => source.resident(pgno),
    load: (pgno) => source.load(pgno),
  };
}

/** How many trees a statement was said to read as a whole. */
async function countExpected(sql: string): Promise<number> {
  const source = slowSource(main);
  await runQuery(new Engine(build), request({ source, sql }));
  return source.expected.length;
}

/** What came of a statement, error or not. */
async function outcome(
  source: PageSource,
  sql: string,
  args: QueryRequest["args"] = [],
): Promise<unknown> {
  try {
    const { rows, ...rest } = await runQuery(new Engine(build), request({ source, sql, args }));
    return { ...rest, rows: rows.length };
  } catch (error) {
    if (!(error instanceof ReplicaError)) throw error;
    return { code: error.code, message: error.message, details: error.details };
  }
}

describe("asking for a statement's program", () => {
  it.each([
    ["SELECT count(*) FROM t"],
    ["SELECT count(*), random() IS NULL FROM t"],
    ["SELECT sum(a.n * b.n) FROM t a, t b WHERE a.id < 50"],
    ["SELECT count(*) FROM t WHERE"],
    ["SELECT nothing FROM t"],
    ["SELECT abs(min(n) - 9223372036854775807 - 3) FROM t"],
    ["SELECT count(*) FROM t; SELECT 2 FROM t"],
    ["WITH x AS (SELECT 1 FROM t) DELETE FROM t"],
    ["SELECT load_extension('x') FROM t"],
    ["SELECT * FROM t WHERE id = ?"],
    ["-- a comment, count(*) FROM t\n/* and another */ SELECT count(*) FROM t -- with no end"],
    [";SELECT count(*) FROM t"],
    ["select count(*) from t as explain"],
  ])("changes nothing of what comes of it: %s", async (sql) => {
    expect(await outcome(slowSource(main), sql)).toEqual(await outcome(untold(), sql));
  });

  it("is asked once, of statements that gather rows of a table, and where somebody wants to know", async () => {
    const explained: string[] = [];
    const counting = new Engine(
      changedBuild((instance) => ({
        prepare(stack, db, sql) {
          const text = new TextDecoder().decode(sql);
          if (text.startsWith("EXPLAIN ")) explained.push(text);
          return instance.prepare(stack, db, sql);
        },
      })),
    );
    const source = slowSource(main);
    const ask = (sql: string, from: PageSource = source) =>
      runQuery(counting, request({ source: from, sql }));
    for (let time = 0; time < 3; time++) await ask("SELECT count(*) FROM t");
    await ask("SELECT 1");
    await ask("PRAGMA table_info('t')");
    await ask("SELECT sum(id) FROM t", untold());
    await ask("SELECT n, r FROM t WHERE id = 3");
    expect(explained).toEqual(["EXPLAIN SELECT count(*) FROM t"]);
  });

  it.each([
    "SELECT n FROM t ORDER BY r LIMIT 1",
    "SELECT n FROM t UNION SELECT r FROM t",
    "SELECT n FROM t EXCEPT SELECT r FROM t",
  ])("finds what is gathered without a function: %s", async (sql) => {
    expect(await countExpected(sql)).toBe(1);
  });

  it("is not done where to compile it was much work", async () => {
    const joined = (count: number): Promise<number> => {
      const names = Array.from({ length: count }, (_, index) => `t${index}`);
      const from = names.map((name) => `t ${name}`).join(", ");
      const where = names
        .slice(1)
        .map(
          (name, index) => `${name}.id = t${index}.n AND ${name}.k = t${index}.k AND ${name}.r > 3`,
        );
      return countExpected(`SELECT count(*) FROM ${from} WHERE ${where.join(" AND ")}`);
    };
    expect(await joined(3)).toBe(1);
    expect(await joined(16)).toBe(0);
    const long = `SELECT sum(n) FROM t -- ${"x".repeat(3_900)}`;
    expect(await countExpected(long)).toBe(1);
    expect(await countExpected(long + "x".repeat(100))).toBe(0);
  });

  it.each<[string, (instance: SqliteInstance) => Partial<SqliteInstance>]>([
    [
      "does not compile",
      (instance) => ({
        prepare: async (stack, db, sql) =>
          isExplain(sql)
            ? { code: 1, statement: undefined, usedBytes: 0 }
            : await instance.prepare(stack, db, sql),
      }),
    ],
    [
      "needs more memory than there is",
      (instance) => ({
        prepare(stack, db, sql) {
          if (isExplain(sql))
            throw new ReplicaError("SQLITE_ERROR", "no memory", { details: { sqlite_code: 7 } });
          return instance.prepare(stack, db, sql);
        },
      }),
    ],
    [
      "fails in the middle",
      (instance) => {
        let explaining: number | undefined;
        return {
          async prepare(stack, db, sql) {
            const prepared = await instance.prepare(stack, db, sql);
            if (isExplain(sql)) explaining = prepared.statement;
            return prepared;
          },
          async step(stack, statement, onRow) {
            if (statement !== explaining) return await instance.step(stack, statement, onRow);
            let rows = 0;
            await instance.step(stack, statement, () => onRow() || ++rows > 3);
            return 1;
          },
        };
      },
    ],
  ])("leaves the statement alone where that %s", async (_, change) => {
    const failing = new Engine(changedBuild(change));
    const source = slowSource(main);
    const { rows } = await runQuery(failing, request({ source, sql: "SELECT count(*) FROM t" }));
    expect({ rows, expected: source.expected }).toEqual({ rows: [[3000n]], expected: [] });
    expect(failing.stats()).toMatchObject({ retired: 0, busyConnections: 0 });
  });
});

function isExplain(sql: Uint8Array): boolean {
  return new TextDecoder().decode(sql).startsWith("EXPLAIN ");
}
