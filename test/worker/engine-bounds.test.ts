import { describe, expect, it } from "vitest";
import { Engine } from "../../worker/sqlite/engine.ts";
import { runQuery } from "../../worker/sqlite/run-query.ts";
import { build } from "./support-engine/build-under-test.ts";
import { changedBuild } from "./support-engine/changed-build.ts";
import { afterMs, database, LIMITS, request, slowSource } from "./support-engine/sources.ts";

const main = database("4096-byte pages");
const small = database("512-byte pages");
const sql = "SELECT count(*) FROM t";

describe("an engine", () => {
  it("has 64 queries in flight, of which 8 run, and refuses the next", async () => {
    const engine = new Engine(build);
    const gate = Promise.withResolvers<void>();
    let runningMax = 0;
    const run = (index: number) => {
      const source = slowSource(main, async () => {
        runningMax = Math.max(runningMax, engine.stats().running);
        await gate.promise;
      });
      return runQuery(engine, request({ source, sourceKey: `bounds ${index}`, sql }));
    };
    const queries = Array.from({ length: 64 }, (_, index) => run(index));
    await afterMs(20);
    expect(engine.stats()).toMatchObject({ running: 8, waiting: 56, stacks: 8 });
    await expect(run(64)).rejects.toMatchObject({ code: "OVERLOADED" });
    gate.resolve();
    for (const query of queries) expect((await query).rows).toEqual([[3000n]]);
    expect(runningMax).toBe(8);
    expect(engine.stats()).toMatchObject({ running: 0, waiting: 0, stacks: 8, retired: 0 });
  });

  it("is given up when a statement has overflowed its stack, and the next query has a new one", async () => {
    let instances = 0;
    const build = changedBuild(() => (instances++ === 0 ? { isStackIntact: () => false } : {}));
    const engine = new Engine(build);
    const run = () => runQuery(engine, request({ source: slowSource(small), sql }));
    await expect(run()).rejects.toMatchObject({
      code: "ENGINE_FAILED",
      message: "the SQLite engine failed and was replaced; try again",
      cause: expect.objectContaining({ message: expect.stringContaining("stack has overflowed") }),
    });
    expect((await run()).rows).toEqual([[3000n]]);
    expect(engine.stats()).toMatchObject({ retired: 1, running: 0, busyConnections: 0 });
  });
});

describe("a row of megabytes", () => {
  it("is given up at the column at which the result is too large", async () => {
    let values = 0;
    const counting = changedBuild((instance) => ({
      columnValue(statement, index) {
        values++;
        return instance.columnValue(statement, index);
      },
    }));
    const wide = `SELECT ${Array.from({ length: 1_900 }, () => "?1").join(", ")}`;
    const args = [new Uint8Array(3_000_000)];
    const engine = new Engine(counting);
    await expect(
      runQuery(engine, request({ source: slowSource(small), sql: wide, args })),
    ).rejects.toMatchObject({ code: "RESULT_TOO_LARGE" });
    expect(values).toBe(4);
    const { rows } = await runQuery(engine, request({ source: slowSource(small), sql }));
    expect(rows).toEqual([[3000n]]);
  });

  it("for which there is no memory fails, and shows nothing of what else is in memory", async () => {
    const engine = new Engine(build);
    const sql =
      "WITH held AS MATERIALIZED (SELECT zeroblob(9000000) AS b UNION ALL SELECT zeroblob(9000000)) " +
      "SELECT zeroblob(9000000), zeroblob(9000000), length(b) FROM held LIMIT 1";
    const limits = { ...LIMITS, rowsMax: 1, resultBytesMax: 100_000_000 };
    await expect(
      runQuery(engine, request({ source: slowSource(small), sql, limits })),
    ).rejects.toMatchObject({ code: "SQLITE_ERROR", details: { sqlite_code: 7 } });
    expect(engine.stats()).toMatchObject({ retired: 0, busyConnections: 0 });
  });
});
