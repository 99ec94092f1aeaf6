import { describe, expect, it } from "vitest";
import { Engine } from "../../worker/sqlite/engine.ts";
import { runQuery } from "../../worker/sqlite/run-query.ts";
import { build } from "./support-engine/build-under-test.ts";
import { changedBuild } from "./support-engine/changed-build.ts";
import { afterMs, database, request, slowSource } from "./support-engine/sources.ts";

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
