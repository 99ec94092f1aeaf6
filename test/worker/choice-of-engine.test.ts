import { describe, expect, it } from "vitest";
import type { SqliteBuild } from "../../worker/sqlite/build.ts";
import { EngineChoice } from "../../worker/sqlite/engine-choice.ts";
import { Engine } from "../../worker/sqlite/engine.ts";
import { officialBuild } from "../../worker/sqlite/official/official-instance.ts";
import { runQuery } from "../../worker/sqlite/run-query.ts";
import { sqljsBuild } from "../../worker/sqlite/sqljs/sqljs-instance.ts";
import { afterMs, database, request, slowSource } from "./support-engine/sources.ts";

const mixed = database("with tables that need all modules");
const FTS5 = "SELECT count(*) FROM articles WHERE articles MATCH 'lamp'";
const FTS4 = "SELECT count(*) FROM letters WHERE letters MATCH 'red'";
const RTREE = "SELECT id FROM boxes WHERE x0 > 2";

/** A choice between the real builds, and on which of them each query was run. */
function setUp() {
  const engines = new Map<string, Engine>();
  const tried: string[] = [];
  const started: string[] = [];
  const counted = (build: SqliteBuild): SqliteBuild => ({
    ...build,
    instantiate(mayGrowTo) {
      started.push(build.name);
      return build.instantiate(mayGrowTo);
    },
  });
  const choice = new EngineChoice({
    builds: [counted(sqljsBuild), counted(officialBuild)],
    engineOf: async (build) => {
      tried.push(build.name);
      const engine = engines.get(build.name) ?? new Engine(build);
      engines.set(build.name, engine);
      return engine;
    },
  });
  const query = async (sql: string, name = "mixed", source = slowSource(mixed)) =>
    (await choice.on(name, request({ source, sourceKey: `${name}@1`, sql }), runQuery)).rows;
  return { query, tried, started, engines };
}

describe("EngineChoice", () => {
  it("starts no engine that nobody needs", async () => {
    const { query, started } = setUp();
    expect(await query("SELECT name FROM plain")).toEqual([["served"]]);
    expect(await query(FTS4)).toEqual([[1n]]);
    expect(started).toEqual(["sqljs"]);
    expect(await query(FTS5)).toEqual([[2n]]);
    expect(started).toEqual(["sqljs", "official"]);
  });

  it("remembers of a database where it was read, and goes there at once", async () => {
    const { query, tried } = setUp();
    await query(FTS5);
    expect(tried.splice(0)).toEqual(["sqljs", "official"]);
    expect(await query(RTREE)).toEqual([[2n]]);
    await query("SELECT name FROM plain");
    expect(tried.splice(0)).toEqual(["official", "official"]);
    await query(FTS4);
    expect(tried.splice(0)).toEqual(["official", "sqljs"]);
    await query("SELECT name FROM plain", "another");
    expect(tried).toEqual(["sqljs"]);
  });

  it("fetches no page once more for the engine that comes second", async () => {
    const { query } = setUp();
    const fetched: number[] = [];
    const source = slowSource(mixed, (pgno) => {
      fetched.push(pgno);
      return afterMs(0);
    });
    await query(FTS5, "mixed", source);
    expect(new Set(fetched).size).toBe(fetched.length);
    expect(fetched.length).toBeGreaterThan(1);
  });

  it("tries no other engine where it would not help", async () => {
    const { query, tried } = setUp();
    for (const [sql, code] of [
      ["SELECT * FROM places", "UNSUPPORTED_MODULE"],
      ["SELECT * FROM nope", "SQLITE_ERROR"],
      ["DELETE FROM articles", "READ_ONLY"],
    ] as const) {
      tried.length = 0;
      await expect(query(sql)).rejects.toMatchObject({ code });
      expect(tried).toEqual(sql.startsWith("DELETE") ? ["sqljs", "official"] : ["sqljs"]);
    }
  });

  it("finds the engine for what a pragma only meets while it runs", async () => {
    const { query } = setUp();
    const sql =
      "SELECT m.name, count(*) FROM sqlite_schema m, pragma_table_info(m.name) WHERE m.name IN ('articles', 'boxes') GROUP BY 1";
    expect(await query(sql)).toEqual([
      ["articles", 1n],
      ["boxes", 3n],
    ]);
  });

  it("says of a statement that needs both engines what is in neither", async () => {
    const { query } = setUp();
    await expect(query("SELECT * FROM articles, letters")).rejects.toMatchObject({
      code: "UNSUPPORTED_MODULE",
      message: expect.stringMatching(/alone: the table articles .*fts5.*the table letters .*fts4/),
    });
  });
});
