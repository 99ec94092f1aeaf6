import { describe, expect, it, vi } from "vitest";
import { ReplicaError } from "../../shared/errors.ts";
import type { StatementHandle } from "../../worker/sqlite/build.ts";
import { Engine } from "../../worker/sqlite/engine.ts";
import { runQuery } from "../../worker/sqlite/run-query.ts";
import { build, engineUnderTest } from "./support-engine/build-under-test.ts";
import { changedBuild } from "./support-engine/changed-build.ts";
import { database, LIMITS, request, slowSource } from "./support-engine/sources.ts";

const main = database("4096-byte pages");
const small = database("512-byte pages");

const IDLE = { running: 0, waiting: 0, busyConnections: 0 };

describe("a query that runs out of memory because of others", () => {
  /** Holds some 14 MB in a table of its own while it reads `t`. */
  const holding =
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 140), " +
    "big AS MATERIALIZED (SELECT x, zeroblob(100000) AS b FROM c) " +
    "SELECT count(*), sum(length(b)) FROM t CROSS JOIN big ON big.x = t.id";

  const WAIT = { timeout: 10_000, interval: 5 };

  it("runs once more when they have gone", async () => {
    const engine = new Engine(build);
    const gate = Promise.withResolvers<void>();
    const held = slowSource(main, (pgno) => (pgno === 1 ? Promise.resolve() : gate.promise));
    const first = runQuery(engine, request({ source: held, sourceKey: "first", sql: holding }));
    await vi.waitFor(() => expect(held.loads).toBe(2), WAIT);
    const source = slowSource(main);
    const second = runQuery(engine, request({ source, sourceKey: "second", sql: holding }));
    // It fails once, and waits for the first to end.
    await vi.waitFor(() => expect(engine.stats().busyConnections).toBe(1), WAIT);
    expect(engine.stats().running).toBe(2);
    gate.resolve();
    for (const query of [first, second]) {
      expect((await query).rows).toEqual([[140n, 14_000_000n]]);
    }
    expect(engine.stats()).toMatchObject({ running: 0, retired: 0 });
  });
});

describe("an error of the page source", () => {
  it.each<[string, unknown]>([
    ["one of ours", new ReplicaError("OBJECT_MISSING", "the file is gone")],
    ["any other", new TypeError("a bug below")],
  ])("comes out unchanged: %s", async (_name, thrown) => {
    const engine = await engineUnderTest();
    for (const failing of [1, 2, 4]) {
      const source = slowSource(main, (pgno) =>
        pgno >= failing ? Promise.reject(thrown) : Promise.resolve(),
      );
      const sql = "SELECT sum(length(v)) FROM t";
      const query = runQuery(engine, request({ source, sourceKey: `fails ${failing}`, sql }));
      await expect(query).rejects.toBe(thrown);
    }
    expect(engine.stats()).toMatchObject({ ...IDLE, retired: 0 });
  });

  it("is CORRUPT_PAGE for a page that is too short, and ENGINE_FAILED for one that never comes", async () => {
    const engine = await engineUnderTest();
    const sql = "SELECT sum(length(v)) FROM t";
    const whole = slowSource(main);
    const short = {
      ...whole,
      resident: (pgno: number) => whole.resident(pgno)?.subarray(pgno > 3 ? 4095 : 0),
    };
    await expect(
      runQuery(engine, request({ source: short, sourceKey: "short", sql })),
    ).rejects.toMatchObject({
      code: "CORRUPT_PAGE",
      message: expect.stringMatching(/^page \d+ has 1 bytes, and its database pages of 4096$/),
    });
    const never = { ...whole, resident: () => undefined };
    await expect(
      runQuery(engine, request({ source: never, sourceKey: "never", sql })),
    ).rejects.toMatchObject({ code: "ENGINE_FAILED" });
    expect(engine.stats()).toMatchObject({ ...IDLE, retired: 0 });
  });

  it("is CORRUPT_PAGE where SQLite finds the database malformed", async () => {
    const bytes = main.bytes.slice();
    bytes.fill(0xee, 4096 * 5);
    const engine = await engineUnderTest();
    const source = slowSource({ ...main, bytes });
    await expect(
      runQuery(engine, request({ source, sourceKey: "bad", sql: "SELECT sum(length(v)) FROM t" })),
    ).rejects.toMatchObject({ code: "CORRUPT_PAGE", details: { sqlite_code: 11 } });
    const text = slowSource({ ...main, bytes: new Uint8Array(4096 * 3).fill(65) });
    await expect(
      runQuery(engine, request({ source: text, sourceKey: "text", sql: "SELECT * FROM t" })),
    ).rejects.toMatchObject({ code: "CORRUPT_PAGE", details: { sqlite_code: 26 } });
  });
});

describe("a page with a cell that cannot be", () => {
  /** Every leaf but page 1 says that its first cell begins at its last byte. */
  const damaged = (() => {
    const bytes = main.bytes.slice();
    for (let start = 4_096; start < bytes.length; start += 4_096) {
      if (bytes[start] === 10 || bytes[start] === 13) bytes.set([0x0f, 0xff], start + 8);
    }
    return { ...main, bytes };
  })();
  const sql = "SELECT count(*) FROM t";

  it("is found where nobody has verified the page, also when nothing of the cell is asked for", async () => {
    const engine = await engineUnderTest();
    const source = slowSource(damaged);
    await expect(
      runQuery(engine, request({ source, sourceKey: "cells", sql })),
    ).rejects.toMatchObject({ code: "CORRUPT_PAGE", details: { sqlite_code: 11 } });
  });

  it("is not looked for where every page is as it was written", async () => {
    const engine = await engineUnderTest();
    const sound = { ...slowSource(main), isVerifiable: true };
    const expected = await runQuery(engine, request({ source: sound, sourceKey: "sound", sql }));
    const source = { ...slowSource(damaged), isVerifiable: true };
    const { rows } = await runQuery(engine, request({ source, sourceKey: "verifiable", sql }));
    expect(rows).toEqual(expected.rows);
    const cells = request({ source, sourceKey: "verifiable", sql: "SELECT sum(length(v)) FROM t" });
    await expect(runQuery(engine, cells)).rejects.toMatchObject({ code: "CORRUPT_PAGE" });
  });
});

describe("an exception that SQLite did not raise", () => {
  /** Where a row says `poison` SQLite is given an address outside of its memory. */
  const trapping = changedBuild((instance) => ({
    columnValue(statement, index) {
      const value = instance.columnValue(statement, index);
      if (value === "poison") instance.finalize(0x7fff_0000 as StatementHandle);
      return value;
    },
  }));

  it("retires the instance with its queries, and the next query gets a new one", async () => {
    const engine = new Engine(trapping);
    const gate = Promise.withResolvers<void>();
    const sql = "SELECT count(*) FROM t";
    const beside = runQuery(
      engine,
      request({ source: slowSource(main, () => gate.promise), sourceKey: "beside", sql }),
    );
    const besideFails = expect(beside).rejects.toMatchObject({ code: "ENGINE_FAILED" });
    await expect(
      runQuery(engine, request({ source: slowSource(small), sql: "SELECT 'poison'" })),
    ).rejects.toMatchObject({
      code: "ENGINE_FAILED",
      cause: expect.objectContaining({ message: expect.stringMatching(/memory|table/) }),
    });
    const next = await runQuery(engine, request({ source: slowSource(small), sql }));
    expect(next.rows).toEqual([[3000n]]);
    gate.resolve();
    await besideFails;
    expect(engine.stats()).toMatchObject({ ...IDLE, retired: 1, idleConnections: 1 });
  });
});

describe("a check of the database", () => {
  const checks = [
    "PRAGMA integrity_check",
    "PRAGMA quick_check",
    "SELECT count(*) FROM pragma_integrity_check",
  ];

  it.each(checks)("says nothing of a database that could not be read: %s", async (sql) => {
    const source = slowSource(main, (pgno) =>
      pgno >= 6
        ? Promise.reject(new ReplicaError("R2_ERROR", "the bucket does not answer"))
        : Promise.resolve(),
    );
    const query = request({ source, sourceKey: `away ${sql}`, sql });
    await expect(runQuery(await engineUnderTest(), query)).rejects.toMatchObject({
      code: "R2_ERROR",
    });
  });

  it.each(checks)("says nothing of what its reads did not reach: %s", async (sql) => {
    const limits = { ...LIMITS, faultsMax: 5 };
    const query = request({ source: slowSource(main), sourceKey: `few ${sql}`, sql, limits });
    await expect(runQuery(await engineUnderTest(), query)).rejects.toMatchObject({
      code: "FAULT_BUDGET",
    });
  });
});
