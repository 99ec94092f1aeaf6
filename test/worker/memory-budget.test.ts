import { describe, expect, it } from "vitest";
import type { SqliteBuild } from "../../worker/sqlite/build.ts";
import { Engine } from "../../worker/sqlite/engine.ts";
import { MemoryBudget } from "../../worker/sqlite/memory-budget.ts";
import { officialBuild } from "../../worker/sqlite/official/official-instance.ts";
import { runQuery } from "../../worker/sqlite/run-query.ts";
import { sqljsBuild } from "../../worker/sqlite/sqljs/sqljs-instance.ts";
import {
  afterMs,
  database,
  request,
  type SlowSource,
  slowSource,
} from "./support-engine/sources.ts";

const MB = 1024 * 1024;
const small = database("512-byte pages");

/** Holds some 20 MB in a table of its own. */
const LARGE =
  "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 200), " +
  "big AS MATERIALIZED (SELECT x, zeroblob(100000) AS b FROM c) " +
  "SELECT count(*), sum(length(b)) FROM big";
const LARGE_ROWS = [[200n, 20_000_000n]];

/** Both engines under one budget of 36 MB, as in the Worker. */
function bothEngines() {
  const memory = new MemoryBudget(36 * MB);
  const start = (build: SqliteBuild) => new Engine(build, { memory });
  return { sqljs: start(sqljsBuild), official: start(officialBuild) };
}

async function query(engine: Engine, sql: string, source: SlowSource = slowSource(small)) {
  return (await runQuery(engine, request({ source, sql }))).rows;
}

describe("the memory that engines have together", () => {
  it("is none before a query needs it, and small where both are used", async () => {
    const { sqljs, official } = bothEngines();
    expect([sqljs.memoryBytes, official.memoryBytes]).toEqual([0, 0]);
    for (const engine of [sqljs, official]) {
      expect(await query(engine, "SELECT count(*) FROM t")).toEqual([[3000n]]);
    }
    expect(sqljs.memoryBytes).toBeGreaterThan(0);
    expect(official.memoryBytes).toBeGreaterThan(0);
    expect(sqljs.memoryBytes + official.memoryBytes).toBeLessThan(36 * MB);
  });

  it("goes to the one that has to grow, where nobody uses the other", async () => {
    const { sqljs, official } = bothEngines();
    await query(sqljs, "SELECT 1");
    expect(await query(official, LARGE)).toEqual(LARGE_ROWS);
    expect(official.memoryBytes).toBeGreaterThan(20 * MB);
    expect(sqljs.memoryBytes).toBe(0);
    expect(await query(sqljs, LARGE)).toEqual(LARGE_ROWS);
    expect(sqljs.memoryBytes).toBeGreaterThan(20 * MB);
    expect(official.memoryBytes).toBe(0);
    expect(sqljs.stats()).toMatchObject({ retired: 0, busyConnections: 0 });
  });

  it("is not taken from a query that runs: the other is told that there is no more", async () => {
    const { sqljs, official } = bothEngines();
    const gate = Promise.withResolvers<void>();
    const held = query(
      sqljs,
      "SELECT count(*) FROM t",
      slowSource(small, () => gate.promise),
    );
    await afterMs(1);
    expect(sqljs.stats()).toMatchObject({ busyConnections: 1 });
    await expect(query(official, LARGE)).rejects.toMatchObject({
      code: "SQLITE_ERROR",
      details: { sqlite_code: 7 },
    });
    expect(sqljs.memoryBytes + official.memoryBytes).toBeLessThanOrEqual(36 * MB);
    gate.resolve();
    expect(await held).toEqual([[3000n]]);
    expect(await query(official, LARGE)).toEqual(LARGE_ROWS);
  });
});
