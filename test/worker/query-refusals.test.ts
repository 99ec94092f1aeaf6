import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { call, post, query } from "../support/workerd/api.ts";
import { putReplica } from "../support/workerd/replica.ts";

beforeAll(async () => {
  await putReplica(env.BUCKET, "shop", inject("shop"));
});

describe("a query is refused", () => {
  it.each<[string, Record<string, string>, number, string, string]>([
    ["no SQL", {}, 400, "bad-request", "sql is missing"],
    ["empty SQL", { sql: "" }, 400, "bad-request", "sql is empty"],
    ["a comment", { sql: "-- nothing" }, 400, "sql-parse", "no statement"],
    ["SQL that does not parse", { sql: "SELEC 1" }, 400, "sql-parse", "syntax error"],
    ["two statements", { sql: "SELECT 1; SELECT 2" }, 400, "many-statements", "more than one"],
    ["too few arguments", { sql: "SELECT ?, ?", args: "[1]" }, 400, "args-mismatch", ""],
    [
      "an argument's name that is not there",
      { sql: "SELECT :a", args: '{"b":1}' },
      400,
      "args-mismatch",
      "",
    ],
    [
      "arguments that are not JSON",
      { sql: "SELECT ?", args: "[" },
      400,
      "bad-request",
      "args is not JSON",
    ],
    ["a write", { sql: "DELETE FROM items" }, 403, "read-only", ""],
    [
      "a table that is not there",
      { sql: "SELECT * FROM missing" },
      422,
      "sqlite-error",
      "no such table",
    ],
    [
      "a misspelt parameter",
      { sql: "SELECT 1", arg: "[]" },
      400,
      "bad-request",
      "no parameter arg",
    ],
    [
      "a limit of 0",
      { sql: "SELECT 1", limit: "0" },
      400,
      "bad-request",
      "limit is a whole number from 1",
    ],
    [
      "a limit that is no number",
      { sql: "SELECT 1", limit: "x" },
      400,
      "bad-request",
      "limit is a whole",
    ],
    [
      "an unknown shape",
      { sql: "SELECT 1", shape: "tree" },
      400,
      "bad-request",
      "shape is one of arrays",
    ],
    [
      "a wait that is too long",
      { sql: "SELECT 1", wait_ms: "10001" },
      400,
      "bad-request",
      "wait_ms is",
    ],
    ["another format", { sql: "SELECT 1", format: "csv" }, 406, "format", "csv"],
    [
      "SQL too long for a URL",
      { sql: `SELECT '${"x".repeat(9_000)}'` },
      414,
      "url-too-long",
      "POST",
    ],
    [
      "a URL that is too long",
      { sql: "SELECT 1", args: `["${"x".repeat(17_000)}"]` },
      414,
      "url-too-long",
      "POST",
    ],
    ["a ref that is none", { sql: "SELECT 1", at: "yesterday" }, 400, "bad-ref", "yesterday"],
    ["TXID 0", { sql: "SELECT 1", at: "txid:0" }, 400, "bad-ref", ""],
    ["min_txid as a bare number", { sql: "SELECT 1", min_txid: "855" }, 400, "bad-ref", ""],
    [
      "min_txid as a time",
      { sql: "SELECT 1", min_txid: "-5m" },
      400,
      "bad-ref",
      "min_txid is a TXID",
    ],
    [
      "a TXID beyond the head",
      { sql: "SELECT 1", at: "txid:4" },
      409,
      "txid-too-new",
      "beyond the newest",
    ],
    [
      "a time before the first",
      { sql: "SELECT 1", at: "2026-10-01T11:59:59Z" },
      404,
      "time-out-of-range",
      "before the first",
    ],
  ])("%s", async (_name, parameters, status, code, detail) => {
    const response = await query("shop", parameters);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(response.headers.get("cache-control")).toBe("no-store");
    const problem = await response.json<{ detail: string }>();
    expect(problem).toMatchObject({
      status,
      code,
      type: `/problems/${code}`,
      title: expect.any(String),
      instance: expect.stringMatching(/^urn:uuid:/),
    });
    expect(problem.detail).toContain(detail);
    expect(response.status).toBe(status);
  });

  it.each<[string, string, string, number, string]>([
    ["a body that is not JSON", "{", "application/json", 400, "bad-request"],
    ["a body that is not an object", "[]", "application/json", 400, "bad-request"],
    ["a form", "sql=1", "application/x-www-form-urlencoded", 415, "unsupported-media-type"],
    [
      "SQL that is too long",
      `SELECT '${"x".repeat(100_001)}'`,
      "application/sql",
      400,
      "bad-request",
    ],
    [
      "a body that is too large",
      "x".repeat(5_000_000),
      "application/sql",
      413,
      "content-too-large",
    ],
    ["SQL that is no string", '{"sql":1}', "application/json", 400, "bad-request"],
  ])("%s", async (_name, body, contentType, status, code) => {
    const response = await post("shop", body, contentType);
    expect(await response.json()).toMatchObject({ status, code });
    expect(response.status).toBe(status);
  });

  it("a body that is not UTF-8", async () => {
    const headers = { "content-type": "application/sql" };
    const body = Uint8Array.of(0x53, 0xff);
    const response = await call("/v1/dbs/shop/query", { method: "POST", headers, body });
    expect(await response.json()).toMatchObject({ status: 400, code: "bad-request" });
  });

  it.each([
    ["/v1/dbs/shop/query?sql=SELECT+1&sql=SELECT+2", "sql is given twice"],
    ["/v1/dbs/shop/at/txid:1/query?at=txid:2&sql=SELECT+1", "the version is given twice"],
  ])("%s", async (path, detail) => {
    expect(await (await call(path)).json()).toMatchObject({
      status: 400,
      detail: expect.stringContaining(detail),
    });
  });

  it("a parameter in the URL and in the body", async () => {
    const headers = { "content-type": "application/sql" };
    const init = { method: "POST", headers, body: "SELECT 1" };
    expect(await (await call("/v1/dbs/shop/query?sql=SELECT+2", init)).json()).toMatchObject({
      status: 400,
      detail: "sql is given twice: in the URL and in the body",
    });
  });

  it("an Accept header that leaves JSON out", async () => {
    const response = await query("shop", { sql: "SELECT 1" }, { accept: "text/csv" });
    expect(await response.json()).toMatchObject({ status: 406, code: "format" });
  });

  it("name the place in the SQL, the code of SQLite and the transaction", async () => {
    const response = await query("shop", { sql: "SELECT 1 FROM WHERE" });
    expect(response.headers.get("x-txid")).toBe("0000000000000003");
    expect(await response.json()).toMatchObject({
      sqlite_code: 1,
      position: 14,
      txid: "0000000000000003",
    });
  });

  it("leave nothing changed behind", async () => {
    for (const sql of [
      "DELETE FROM items",
      "CREATE TEMP TABLE t (x)",
      "PRAGMA journal_mode = DELETE",
    ]) {
      expect((await query("shop", { sql })).status).toBe(403);
    }
    const response = await query("shop", { sql: "SELECT count(*) FROM items", shape: "first" });
    expect(await response.json()).toEqual([100]);
  });
});
