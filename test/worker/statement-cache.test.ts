import { describe, expect, it } from "vitest";
import type { SqliteBuild } from "../../worker/sqlite/build.ts";
import { Engine } from "../../worker/sqlite/engine.ts";
import { type QueryRequest, runQuery } from "../../worker/sqlite/run-query.ts";
import type { SqlArgs } from "../../worker/sqlite/values.ts";
import { changedBuild } from "./support-engine/changed-build.ts";
import { afterMs, database, LIMITS, request, slowSource } from "./support-engine/sources.ts";

const main = database("4096-byte pages");

/** The real build, and how often it compiled and freed a statement. */
function countingBuild(): { build: SqliteBuild; counts: { prepared: number; finalized: number } } {
  const counts = { prepared: 0, finalized: 0 };
  const build = changedBuild((instance) => ({
    prepare(stack, db, sql) {
      if (!/^(?:PRAGMA|EXPLAIN)/.test(new TextDecoder().decode(sql))) counts.prepared++;
      return instance.prepare(stack, db, sql);
    },
    finalize(statement) {
      counts.finalized++;
      instance.finalize(statement);
    },
  }));
  return { build, counts };
}

function setUp() {
  const { build, counts } = countingBuild();
  const engine = new Engine(build);
  const query = (sql: string, args: SqlArgs = [], over: Partial<QueryRequest> = {}) =>
    runQuery(engine, request({ source: slowSource(main), sql, args, ...over }));
  return { engine, query, counts };
}

describe("the statements of a connection", () => {
  it("are compiled once, and run with the arguments of each query", async () => {
    const { query, counts } = setUp();
    const sql = "SELECT id, :extra FROM t WHERE id = :id";
    for (const id of [1n, 2n, 3000n]) {
      const { rows, columns } = await query(sql, { id, extra: `of ${id}` });
      expect(rows).toEqual([[id, `of ${id}`]]);
      expect(columns.map(({ decltype }) => decltype)).toEqual(["INTEGER", null]);
    }
    expect(counts.prepared).toBe(1);
  });

  it("keep no argument of the query before", async () => {
    const { query } = setUp();
    const sql = "SELECT ?1, ?2";
    expect((await query(sql, ["first", new Uint8Array(100_000)])).rows[0]?.[0]).toBe("first");
    await expect(query(sql, ["second"])).rejects.toMatchObject({ code: "ARGS_MISMATCH" });
    expect((await query(sql, [null, 2n])).rows).toEqual([[null, 2n]]);
  });

  it("answer from the first row after a query that did not read to the end", async () => {
    const { query, counts } = setUp();
    const sql = "SELECT id FROM t ORDER BY id";
    for (let round = 0; round < 3; round++) {
      const { rows, truncated } = await query(sql, [], { limits: { ...LIMITS, rowsMax: 300 } });
      expect([rows.length, rows[0]?.[0], truncated]).toEqual([300, 1n, true]);
    }
    expect(counts.prepared).toBe(1);
  });

  it("say again that their answer may be another tomorrow", async () => {
    const { query, counts } = setUp();
    for (const [sql, deterministic] of [
      ["SELECT random() IS NULL", false],
      ["SELECT 1", true],
      ["SELECT date('now') IS NULL", false],
      ["SELECT count(*) > 0 FROM pragma_compile_options", false],
    ] as const) {
      for (let round = 0; round < 3; round++) {
        expect({ sql, ...(await query(sql)) }).toMatchObject({ sql, deterministic });
      }
    }
    expect(counts.prepared).toBe(4);
  });

  it("plan anew where the plan hangs on an argument", async () => {
    const { query } = setUp();
    const sql = "SELECT count(*) FROM t WHERE k LIKE ?";
    for (const [pattern, count] of [
      ["k77%", 11n],
      ["%777", 3n],
      ["k1", 1n],
    ] as const) {
      const expected = (await query(sql.replace("?", `'${pattern}'`))).rows;
      expect((await query(sql, [pattern])).rows).toEqual(expected);
      expect(expected).toEqual([[count]]);
    }
  });

  it("are given up where they failed, and the next query compiles anew", async () => {
    const { query, counts } = setUp();
    const sql = "SELECT abs(?1)";
    for (let round = 0; round < 2; round++) {
      expect((await query(sql, [-5n])).rows).toEqual([[5n]]);
      const failing = query(sql, [-9_223_372_036_854_775_808n]);
      await expect(failing).rejects.toMatchObject({ code: "SQLITE_ERROR" });
    }
    expect(counts).toMatchObject({ prepared: 2 });
  });

  it("are sixteen at most, those used last, and none that is long", async () => {
    const { engine, query, counts } = setUp();
    for (let index = 0; index < 40; index++) {
      await query(`SELECT ${index}`);
      await query("SELECT 'often'");
    }
    expect(counts.prepared).toBe(41);
    const idle = engine.live.pool.take("test@1");
    expect(idle?.statements.count).toBe(16);
    if (idle !== undefined) engine.live.pool.give(idle);
    await query("SELECT 39");
    expect(counts.prepared).toBe(41);
    const long = `SELECT 1 ${"/**/".repeat(2_000)}`;
    await query(long);
    await query(long);
    expect(counts.prepared).toBe(43);
  });

  it("are freed with their connection, and take no memory for good", async () => {
    const { engine, query } = setUp();
    const round = async (index: number): Promise<void> => {
      for (let text = 0; text < 20; text++) {
        await query(`SELECT v, ${text} FROM t WHERE k = ?`, [`k${text}`], {
          sourceKey: `s${index}`,
        });
      }
    };
    for (let index = 0; index < 12; index++) await round(index);
    const { memoryBytes } = engine.stats();
    for (let index = 12; index < 60; index++) await round(index);
    expect(engine.stats()).toMatchObject({ memoryBytes, idleConnections: 8, retired: 0 });
  });

  it("run side by side with the same text, each compiled for its connection", async () => {
    const { query } = setUp();
    const sql = "SELECT id, ?1 FROM t WHERE k = ?2";
    const run = async (index: number): Promise<void> => {
      const source = slowSource(main, () => afterMs(index % 3));
      const { rows } = await query(sql, [BigInt(index), `k${(index * 7919) % 3000}`], { source });
      expect(rows).toEqual([[BigInt(index), BigInt(index)]]);
    };
    for (let from = 1; from < 200; from += 32) {
      await Promise.all(Array.from({ length: 32 }, (_, lane) => run(from + lane)));
    }
  });
});

describe("a batch of rows", () => {
  it("takes one promise, not one for each row", async () => {
    let steps = 0;
    const build = changedBuild((instance) => ({
      step(stack, statement, onRow) {
        steps++;
        return instance.step(stack, statement, onRow);
      },
    }));
    const engine = new Engine(build);
    const all = request({ source: slowSource(main), sql: "SELECT id FROM t" });
    await runQuery(engine, all);
    steps = 0;
    expect((await runQuery(engine, all)).rows).toHaveLength(3000);
    expect(steps).toBe(Math.ceil(3001 / 256));
  });
});
