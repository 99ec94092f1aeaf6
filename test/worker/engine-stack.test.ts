/** What statements make of their private stacks: the canary below none of them may ever die. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isReplicaError } from "../../shared/errors.ts";
import { seededRandom } from "../../tools/demo/random.ts";
import { executeQuery } from "../../worker/sqlite/execute-query.ts";
import { LiveInstance } from "../../worker/sqlite/live-instance.ts";
import { build, forBuild } from "./support-engine/build-under-test.ts";
import { deepJsonb, nested, randomNesting, WORST } from "./support-engine/deep-statements.ts";
import { database, FULL_TEXT, LIMITS, request, slowSource } from "./support-engine/sources.ts";

/** Of 512 KB; a SELECT begins within another only where half of that is left. */
const STACK_BYTES_USED_MAX = 384 * 1024;
const SEED = 20_261_126;
const STATEMENTS = 400;

const texts = database(FULL_TEXT);
const deep = database("a deep schema");

const depths = new Map<string, number>();
afterAll(() => {
  const worst = [...depths].toSorted((a, b) => b[1] - a[1]).slice(0, 8);
  const lines = worst.map(([name, bytes]) => `${String(bytes).padStart(8)} ${name}`);
  console.log(`deepest stacks on ${build.name}, in bytes:\n${lines.join("\n")}`);
});

let live: LiveInstance;
beforeAll(() => {
  live = new LiveInstance(build, 24 * 1024 * 1024);
});

/** Runs it and answers the code of its error; throws where the engine itself has failed. */
async function run(opened: typeof texts, name: string, sql: string): Promise<string> {
  const own = new LiveInstance(build, 24 * 1024 * 1024);
  try {
    return await codeOf(own, opened, sql);
  } finally {
    depths.set(name, own.deepestStackBytes());
  }
}

async function codeOf(on: LiveInstance, opened: typeof texts, sql: string): Promise<string> {
  const args = sql.includes("?1") ? [deepJsonb(sql.includes("json_valid") ? 20_000 : 990)] : [];
  const limits = { ...LIMITS, vmStepsMax: 2_000_000 };
  const source = slowSource(opened);
  try {
    await executeQuery(on, request({ source, sourceKey: "stacks", sql, args, limits }), () => {});
    return "rows";
  } catch (error) {
    if (!isReplicaError(error) || error.code === "ENGINE_FAILED") throw error;
    return error.code;
  }
}

describe("a private stack", () => {
  it.each(Object.entries(WORST))("holds %s", async (name, sql) => {
    expect(await run(texts, name, sql)).toMatch(/^(rows|SQLITE_ERROR|SQL_PARSE|QUERY_TIMEOUT)$/);
    expect(depths.get(name)).toBeLessThan(STACK_BYTES_USED_MAX);
  });

  it("holds an expression of full text, nested as far as it goes", async () => {
    const match = forBuild({
      sqljs: nested("(", "w1", ")", 990),
      official: nested("(", "w1", " OR w2)", 250),
    });
    for (const text of [match, "w1 OR ".repeat(3_000) + "w2", nested("NOT ", "w1", "", 0)]) {
      const name = `full text ${text.slice(0, 12)}`;
      const sql = `SELECT count(*) FROM notes WHERE notes MATCH '${text}'`;
      expect(await run(texts, name, sql)).toMatch(/^(rows|SQLITE_ERROR)$/);
      expect(depths.get(name)).toBeLessThan(STACK_BYTES_USED_MAX);
    }
  });

  it.each([
    "SELECT b FROM sums WHERE b > 3",
    "SELECT c, d FROM sums",
    "SELECT a FROM checked WHERE a = 1 OR a = 2",
    "SELECT count(*) FROM chain95",
    "SELECT count(*) FROM wide1",
    "PRAGMA integrity_check",
  ])("holds what a schema nests: %s", async (sql) => {
    expect(await run(deep, sql, sql)).toBe("rows");
    expect(depths.get(sql)).toBeLessThan(STACK_BYTES_USED_MAX);
  });

  it.each([
    "SELECT count(*) FROM wide4",
    "SELECT count(*) FROM wide6",
    `SELECT * FROM (SELECT * FROM wide3 UNION SELECT b FROM sums)`,
    nested("SELECT * FROM (", "SELECT * FROM wide2", " UNION SELECT 3)", 60),
  ])("is not overflowed by views that read one another: %s", async (sql) => {
    expect(await run(deep, sql.slice(0, 60), sql)).toBe("SQLITE_ERROR");
    expect(depths.get(sql.slice(0, 60))).toBeLessThan(STACK_BYTES_USED_MAX);
    const query = request({ source: slowSource(deep), sourceKey: "stacks", sql });
    await expect(executeQuery(live, query, () => {})).rejects.toMatchObject({
      message: "the statement and the views that it reads are nested too deeply to run here",
    });
    expect(await codeOf(live, deep, "SELECT count(*) FROM plain")).toBe("rows");
  });

  it(`holds ${STATEMENTS} statements nested at random, with seed ${SEED}`, async () => {
    const random = seededRandom(SEED);
    const codes = new Map<string, number>();
    const own = new LiveInstance(build, 24 * 1024 * 1024);
    for (let index = 0; index < STATEMENTS; index++) {
      const code = await codeOf(own, texts, randomNesting(random));
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    depths.set("nested at random", own.deepestStackBytes());
    expect(own.isRetired).toBe(false);
    expect(codes.get("rows") ?? 0).toBeGreaterThan(STATEMENTS / 8);
    expect(own.deepestStackBytes()).toBeLessThan(STACK_BYTES_USED_MAX);
  });
});
