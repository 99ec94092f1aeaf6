import { describe, expect, it } from "vitest";
import { encodeHex } from "../../worker/http/base64.ts";
import { formatResult } from "../../worker/http/result-json.ts";
import { Engine } from "../../worker/sqlite/engine.ts";
import { runQuery } from "../../worker/sqlite/run-query.ts";
import type { SqlArgs, SqlValue } from "../../worker/sqlite/values.ts";
import { build } from "./support-engine/build-under-test.ts";
import { database, request, slowSource } from "./support-engine/sources.ts";

const main = database("4096-byte pages");
const engine = new Engine(build);

const INT64_MAX = 9_223_372_036_854_775_807n;
const INT64_MIN = -INT64_MAX - 1n;

async function query(sql: string, args: SqlArgs = []) {
  return await runQuery(engine, request({ source: slowSource(main), sql, args }));
}

async function one(sql: string, args: SqlArgs = []): Promise<SqlValue | undefined> {
  return (await query(sql, args)).rows[0]?.[0];
}

describe("a value that SQLite computes", () => {
  it.each<[string, SqlValue]>([
    ["9223372036854775807", INT64_MAX],
    ["-9223372036854775807 - 1", INT64_MIN],
    ["9007199254740991", 9_007_199_254_740_991n],
    ["9007199254740992", 9_007_199_254_740_992n],
    ["9007199254740993", 9_007_199_254_740_993n],
    ["-9007199254740993", -9_007_199_254_740_993n],
    ["1 << 62", 4_611_686_018_427_387_904n],
    ["9223372036854775808", 9_223_372_036_854_775_808],
    ["2.0", 2],
    ["1e3", 1000],
    ["4 / 2", 2n],
    ["4 / 2.0", 2],
    ["sum(2.0)", 2],
    ["total(1)", 1],
    ["0.1 + 0.2", 0.300_000_000_000_000_04],
    ["5e-324", 5e-324],
    ["1.7976931348623157e308", Number.MAX_VALUE],
    ["9e999", Number.POSITIVE_INFINITY],
    ["-9e999", Number.NEGATIVE_INFINITY],
    ["9e999 - 9e999", null],
    ["0.0 / 0.0", null],
    ["NULL", null],
    ["''", ""],
    ["x''", new Uint8Array()],
    ["zeroblob(0)", new Uint8Array()],
    ["x'00ff'", Uint8Array.of(0, 255)],
    ["'a' || char(0) || 'b'", "a\0b"],
    ["char(0)", "\0"],
    ["char(128640, 119070)", "🚀𝄞"],
    ["CAST(x'61ff62' AS TEXT)", "a\ufffdb"],
  ])("%s comes out exactly", async (sql, value) => {
    expect(await one(`SELECT ${sql}`)).toEqual(value);
  });

  it("keeps the sign of zero as SQLite does", async () => {
    expect(await one("SELECT -0.0")).toBe(await one("SELECT 0.0 * -1"));
    expect(Object.is(await one("SELECT ?", [-0]), -0)).toBe(true);
  });

  it.each([1_000_000, 4_000_000])("a blob of %i bytes goes in and comes out", async (bytes) => {
    const blob = Uint8Array.from({ length: bytes }, (_, index) => (index * 31) & 0xff);
    const back = (await one("SELECT ?", [blob])) as Uint8Array;
    expect(back.length).toBe(bytes);
    expect(back.every((byte, index) => byte === blob[index])).toBe(true);
    const sql = "SELECT length(?1), typeof(?1), hex(substr(?1, -3))";
    expect((await query(sql, [blob])).rows).toEqual([
      [BigInt(bytes), "blob", encodeHex(blob.subarray(-3)).toUpperCase()],
    ]);
  });

  it("half of a surrogate pair is no character, and becomes U+FFFD", async () => {
    expect(await one("SELECT ?", ["a\ud83d"])).toBe("a\ufffd");
    expect(await one("SELECT '\udc00b'")).toBe("\ufffdb");
  });

  it("is what its row held when the rows were read, not what came after", async () => {
    const { rows } = await query("SELECT id, k, CAST(k AS BLOB) FROM t ORDER BY id LIMIT 600");
    for (const [id, k, blob] of rows) {
      expect(k).toBe(`k${(Number(id) * 7919) % 3000}`);
      expect(new TextDecoder().decode(blob as Uint8Array)).toBe(k);
    }
  });
});

describe("in JSON", () => {
  it("INTEGER, REAL, text, blob and NULL stay apart", async () => {
    const result = await query(
      "SELECT 2, 2.0, '2', x'32', NULL, 9223372036854775807, -9e999, 1e100, ?, char(0)",
      [-0],
    );
    const facts = { txid: "1", timestamp: "t", exact: true, verified: false, stats: {} };
    const style = { shape: "arrays", int: "safe", blob: "base64" } as const;
    expect(formatResult(result, style, facts)).toContain(
      '"rows":[[2,2.0,"2",{"base64":"Mg=="},null,"9223372036854775807",-9e999,1e+100,-0.0,"\\u0000"]]',
    );
  });
});
