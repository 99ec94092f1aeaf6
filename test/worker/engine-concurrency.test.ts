import { describe, expect, it } from "vitest";
import { Admission } from "../../worker/sqlite/admission.ts";
import { Engine } from "../../worker/sqlite/engine.ts";
import { runQuery } from "../../worker/sqlite/run-query.ts";
import { build, engineUnderTest } from "./support-engine/build-under-test.ts";
import {
  afterMs,
  database,
  FULL_TEXT,
  LIMITS,
  request,
  slowSource,
  tag,
} from "./support-engine/sources.ts";

const main = database(FULL_TEXT);
const small = database("512-byte pages");

/** Pages that come at once or take up to 3 ms, in an order that differs from query to query. */
function jitter(seed: number): (pgno: number) => Promise<void> {
  return (pgno) => {
    const turn = (pgno * 7 + seed * 13) % 16;
    return turn < 4 ? afterMs(turn) : Promise.resolve();
  };
}

const IDLE = { running: 0, waiting: 0, busyConnections: 0 };

describe("queries side by side", () => {
  it("answer right, each on its own database, interleaved at every page", async () => {
    const engine = new Engine(build);
    const results = await Promise.all(
      Array.from({ length: 32 }, async (_, index) => {
        const opened = index % 2 === 0 ? main : small;
        const source = slowSource(opened, jitter(index));
        const { sql, rows } = opened.answers[index % opened.answers.length] ?? {
          sql: "",
          rows: [],
        };
        const result = await runQuery(engine, request({ source, sourceKey: `own ${index}`, sql }));
        expect({ sql, rows: result.rows.map((row) => row.map(tag)) }).toEqual({ sql, rows });
        return source.loads;
      }),
    );
    expect(results.every((loads) => loads > 0)).toBe(true);
    expect(engine.stats()).toMatchObject({ ...IDLE, retired: 0, stacks: 8 });
  });

  it("answer right on one database, over connections that are pooled", async () => {
    const engine = new Engine(build);
    const query = async (index: number): Promise<void> => {
      const key = (index * 7919) % 3000;
      const source = slowSource(main, jitter(index));
      const sql = "SELECT v, (SELECT count(*) FROM t u WHERE u.k >= t.k) FROM t WHERE k = ?";
      const { rows } = await runQuery(engine, request({ source, sql, args: [`k${key}`] }));
      expect(rows).toHaveLength(1);
      const id = Number(rows[0]?.[0]);
      expect((id * 7919) % 3000).toBe(key);
    };
    for (let round = 0; round < 4; round++) {
      await Promise.all(Array.from({ length: 16 }, (_, index) => query(round * 16 + index)));
    }
    expect(engine.stats()).toMatchObject({ ...IDLE, idleConnections: 8, stacks: 8, retired: 0 });
  });

  it("are not held up by one that waits for its pages", async () => {
    const engine = new Engine(build);
    const gate = Promise.withResolvers<void>();
    const sql = "SELECT count(*) FROM t";
    const held = runQuery(
      engine,
      request({ source: slowSource(main, () => gate.promise), sourceKey: "held", sql }),
    );
    const quick = await runQuery(engine, request({ source: slowSource(small), sql }));
    expect(quick.rows).toEqual([[3000n]]);
    expect(engine.stats()).toMatchObject({ running: 1, busyConnections: 1 });
    gate.resolve();
    expect((await held).rows).toEqual([[3000n]]);
  });

  it("are not held up by one that computes", async () => {
    const engine = new Engine(build);
    const order: string[] = [];
    const counting =
      "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 2000000) SELECT count(*) FROM c";
    const long = runQuery(engine, request({ source: slowSource(main), sql: counting })).then(
      ({ rows }) => {
        order.push("long");
        return rows;
      },
    );
    await runQuery(
      engine,
      request({
        source: slowSource(small, () => afterMs(1)),
        sourceKey: "s",
        sql: "SELECT v FROM t WHERE k = 'k777'",
      }),
    );
    order.push("short");
    expect(await long).toEqual([[2_000_000n]]);
    expect(order).toEqual(["short", "long"]);
  });
});

describe("a client that leaves", () => {
  const sql = "SELECT count(*), sum(length(v)) FROM t";

  it("ends its query at once, though its page never comes", async () => {
    const engine = new Engine(build);
    const controller = new AbortController();
    const source = slowSource(main, (pgno) => (pgno < 9 ? afterMs(0) : new Promise(() => {})));
    const query = runQuery(engine, request({ source, sql, signal: controller.signal }));
    await afterMs(40);
    expect(engine.stats()).toMatchObject({ running: 1 });
    controller.abort(new Error("gone"));
    await expect(query).rejects.toMatchObject({ code: "ABORTED" });
    expect(engine.stats()).toMatchObject({ ...IDLE, idleConnections: 0 });
  });

  it("ends its query in the middle of computing", async () => {
    const engine = new Engine(build);
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 5);
    const endless =
      "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";
    const query = runQuery(
      engine,
      request({
        source: slowSource(main),
        sql: endless,
        signal: controller.signal,
        limits: { ...LIMITS, vmStepsMax: 2_000_000_000 },
      }),
    );
    await expect(query).rejects.toMatchObject({ code: "ABORTED" });
    expect(engine.stats()).toMatchObject(IDLE);
  });

  it("before its query ran has it never run", async () => {
    const source = slowSource(main);
    const signal = AbortSignal.abort();
    await expect(
      runQuery(new Engine(build), request({ source, sql, signal })),
    ).rejects.toMatchObject({ code: "ABORTED" });
    expect(source.loads).toBe(0);
  });

  it("leaks nothing, a thousand times", async () => {
    const engine = await engineUnderTest();
    const leave = async (index: number): Promise<void> => {
      const controller = new AbortController();
      const leavesAt = 1 + (index % 12);
      let loads = 0;
      const source = slowSource(main, () => {
        if (++loads === leavesAt) controller.abort();
        return Promise.resolve();
      });
      const over = { source, sql, sourceKey: `leaving ${index}`, signal: controller.signal };
      await expect(runQuery(engine, request(over))).rejects.toMatchObject({ code: "ABORTED" });
    };
    const rounds = async (from: number, count: number): Promise<void> => {
      for (let index = from; index < from + count; index += 8) {
        await Promise.all(Array.from({ length: 8 }, (_, lane) => leave(index + lane)));
      }
    };
    await rounds(0, 104);
    const { memoryBytes } = engine.stats();
    await rounds(104, 1000);
    expect(engine.stats()).toMatchObject({ ...IDLE, idleConnections: 0, retired: 0, memoryBytes });
    expect(engine.stats().stacks).toBeLessThanOrEqual(8);
    const { rows } = await runQuery(engine, request({ source: slowSource(main), sql }));
    expect(rows[0]?.[0]).toBe(3000n);
  });
});

describe("a query that nobody resumes", () => {
  it("keeps its place for half a minute, and its memory until its instance is replaced", async () => {
    let nowMs = 0;
    const engine = new Engine(build, { now: () => nowMs });
    const sql = "SELECT count(*) FROM t";
    for (let index = 0; index < 8; index++) {
      const source = slowSource(main, () => new Promise(() => {}));
      void runQuery(engine, request({ source, sourceKey: `lost ${index}`, sql }));
    }
    await afterMs(10);
    expect(engine.stats()).toMatchObject({ running: 8, busyConnections: 8 });
    nowMs = 31_000;
    const { rows } = await runQuery(engine, request({ source: slowSource(main), sql }));
    expect(rows).toEqual([[3000n]]);
    expect(engine.stats()).toMatchObject({ ...IDLE, stacks: 1, retired: 1 });
  });
});

describe("Admission", () => {
  const limits = { runningMax: 2, inFlightMax: 4 };

  it("lets those that wait go in the order in which they came", async () => {
    const admission = new Admission(limits);
    const order: number[] = [];
    const run = async (index: number): Promise<void> => {
      const ticket = await admission.enter(undefined);
      order.push(index);
      expect(admission.runningCount).toBeLessThanOrEqual(2);
      await afterMs(3);
      admission.leave(ticket);
    };
    await Promise.all([run(0), run(1), run(2), run(3)]);
    expect(order).toEqual([0, 1, 2, 3]);
  });

  it("refuses what is too many, and lets a client that waits leave", async () => {
    const admission = new Admission(limits);
    const running = [await admission.enter(undefined), await admission.enter(undefined)];
    const controller = new AbortController();
    const waiting = [admission.enter(controller.signal), admission.enter(controller.signal)];
    await expect(admission.enter(undefined)).rejects.toMatchObject({ code: "OVERLOADED" });
    controller.abort();
    for (const entry of waiting) await expect(entry).rejects.toMatchObject({ code: "ABORTED" });
    expect(admission).toMatchObject({ runningCount: 2, waitingCount: 0 });
    for (const ticket of running) admission.leave(ticket);
  });

  it("lets all go that wait on, though none of them could look for a while", async () => {
    let nowMs = 0;
    const admission = new Admission(limits, () => nowMs);
    const running = [await admission.enter(undefined), await admission.enter(undefined)];
    const waiting = [admission.enter(undefined), admission.enter(undefined)];
    await afterMs(10);
    // Somebody has computed for so long without a pause.
    nowMs = 2_500;
    for (const ticket of running) admission.moved(ticket);
    await afterMs(20);
    expect(admission.waitingCount).toBe(2);
    for (const ticket of running) admission.leave(ticket);
    for (const ticket of await Promise.all(waiting)) admission.leave(ticket);
    expect(admission).toMatchObject({ runningCount: 0, waitingCount: 0 });
  });

  it("forgets a query that nobody moves any more", async () => {
    let nowMs = 0;
    const admission = new Admission(limits, () => nowMs);
    const [gone, alive] = [await admission.enter(undefined), await admission.enter(undefined)];
    nowMs = 29_000;
    admission.moved(alive);
    nowMs = 31_000;
    const third = await admission.enter(undefined);
    expect(admission).toMatchObject({ runningCount: 2, goneRunnerCount: 1 });
    for (const ticket of [gone, alive, third]) admission.leave(ticket);
    expect(admission.runningCount).toBe(0);
  });
});
