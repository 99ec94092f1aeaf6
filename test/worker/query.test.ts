import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { stampMs } from "../support/ltx-from-images.ts";
import { call, callWith, countBucket, post, query } from "../support/workerd/api.ts";
import { putLtx, putReplica } from "../support/workerd/replica.ts";

const shop = inject("shop");
const COUNT = "SELECT count(*) FROM items";

interface Rows {
  readonly txid: string;
  readonly rows: readonly (readonly unknown[])[];
}

async function rowsOf(response: Response): Promise<readonly (readonly unknown[])[]> {
  const { rows } = await response.json<Rows>();
  return rows;
}

beforeAll(async () => {
  await putReplica(env.BUCKET, "shop", shop);
});

describe("GET /v1/dbs/:db/query", () => {
  it("answers with the rows and the transaction they were read at", async () => {
    const response = await query("shop", { sql: "SELECT id, name, price FROM items WHERE id < 3" });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
    const text = await response.text();
    expect(text).toContain('"rows":[[1,"lamp (sold)",2.0],[2,"kettle",39.5]]');
    expect(JSON.parse(text)).toMatchObject({
      txid: "0000000000000003",
      timestamp: "2026-10-01T12:02:00.000Z",
      exact: true,
      verified: true,
      columns: [
        { name: "id", decltype: "INTEGER" },
        { name: "name", decltype: "TEXT" },
        { name: "price", decltype: "REAL" },
      ],
      row_count: 2,
      truncated: false,
      stats: { ms: expect.any(Number), pages: expect.any(Number), cache_hits: expect.any(Number) },
    });
  });

  it("tells in headers what was read, when, and at what cost", async () => {
    const { bucket, counts } = countBucket(env.BUCKET);
    await putReplica(env.BUCKET, "headers", shop);
    const path = `/v1/dbs/headers/query?sql=${encodeURIComponent(COUNT)}`;
    const { headers } = await callWith({ BUCKET: bucket }, path);
    expect(Object.fromEntries(headers)).toMatchObject({
      "x-txid": "0000000000000003",
      "x-txid-timestamp": "2026-10-01T12:02:00.000Z",
      "x-exact": "true",
      "x-verified": "true",
      "x-replica-age": expect.stringMatching(/^\d+\.\d{3}$/),
      "x-pages-read": "0",
      "server-timing": expect.stringMatching(
        /^resolve;dur=[\d.]+, fault;dur=[\d.]+;desc="0 blocks", sql;dur=[\d.]+$/,
      ),
      "cache-control": "private, no-cache",
      vary: "Accept",
    });
    // One listing, beside it a look for an edge bundle, and each of the three small files whole: the query
    // itself needs nothing more.
    expect(counts).toEqual({ lists: 1, gets: 4 });
    expect(Number(headers.get("x-bytes-fetched"))).toBeGreaterThan(1_000);
    const again = await callWith({ BUCKET: bucket }, path);
    expect(again.headers.get("x-bytes-fetched")).toBe("0");
    expect(counts).toEqual({ lists: 1, gets: 4 });
  });

  it("keeps 64-bit integers, REALs, text and blobs apart and exact", async () => {
    const sql = "SELECT big, price, name, photo FROM items WHERE id IN (1, 2, 3) ORDER BY id";
    const text = await (await query("shop", { sql, at: "txid:1" })).text();
    expect(text).toContain(
      '[["9007199254740993",2.0,"lamp",{"base64":"AP8Q"}],' +
        '["-9223372036854775808",39.5,"kettle",null],' +
        '[42,1e+300,"Zürich → \\"tent\\"",{"base64":""}]]',
    );
    expect(JSON.parse(text)).toMatchObject({ stats: { bigint_columns: ["big"] } });
  });

  it.each([
    ["?", "[9007199254740993]", "integer", "9007199254740993"],
    ["?", "[2]", "integer", "2"],
    ["?", "[2.0]", "real", "2.0"],
    ["?", "[9223372036854775808]", "real", "9223372036854776000.0"],
    ["?", "[true]", "integer", "1"],
    ["?", '[{"type":"integer","value":"-9223372036854775808"}]', "integer", "-9223372036854775808"],
    [":x", '{"x":"text"}', "text", '"text"'],
    ["@x", '{"@x":null}', "null", "null"],
    ["?", '[{"base64":"AP8="}]', "blob", '{"base64":"AP8="}'],
  ])("binds %s from %s as %s", async (parameter, args, type, value) => {
    const sql = `SELECT typeof(${parameter}), ${parameter}`;
    // The same parameter twice: numbered where it has no name.
    const numbered = sql.replaceAll("?", "?1");
    const inUrl = await query("shop", { sql: numbered, args, int: "number" });
    expect(await inUrl.text()).toContain(`[["${type}",${value}]]`);
    const body = `{"sql":${JSON.stringify(numbered)},"args":${args},"int":"number"}`;
    expect(await (await post("shop", body)).text()).toContain(`[["${type}",${value}]]`);
  });

  it.each<[Record<string, string>, unknown]>([
    [{ shape: "objects" }, { rows: [{ id: 1, id_2: 1 }], row_count: 1 }],
    [{ shape: "array" }, [{ id: 1, id_2: 1 }]],
    [{ shape: "first" }, [1]],
    [{ int: "string" }, { rows: [["1", "1"]] }],
  ])("honours %j", async (style, body) => {
    const sql = "SELECT id, id FROM items WHERE id = 1";
    expect(await (await query("shop", { sql, ...style })).json()).toMatchObject(body as object);
  });

  it("says where it cut the rows off", async () => {
    const response = await query("shop", { sql: "SELECT id FROM items", limit: "2" });
    expect(response.headers.get("x-truncated")).toBe("true");
    expect(await response.json()).toMatchObject({ row_count: 2, truncated: true });
  });
});

describe("POST and QUERY", () => {
  it("take JSON, and the SQL itself with parameters in the URL", async () => {
    const json = JSON.stringify({ sql: COUNT, at: "txid:1" });
    expect(await rowsOf(await post("shop", json))).toEqual([[3]]);
    for (const method of ["POST", "QUERY"]) {
      const headers = { "content-type": "application/sql; charset=utf-8" };
      const path = "/v1/dbs/shop/query?at=txid:2&max_stale_ms=0";
      const response = await call(path, { method, headers, body: COUNT });
      expect([method, await rowsOf(response)]).toEqual([method, [[400]]]);
    }
  });

  it("run a statement that is too long for a URL", async () => {
    const sql = `${COUNT} /*${"x".repeat(50_000)}*/`;
    expect(await rowsOf(await post("shop", sql, "application/sql"))).toEqual([[100]]);
  });
});

describe("versions", () => {
  it.each([
    ["latest", 100, "0000000000000003"],
    ["0000000000000001", 3, "0000000000000001"],
    ["0x2", 400, "0000000000000002"],
    ["txid:1", 3, "0000000000000001"],
    ["2026-10-01T12:01:00Z", 400, "0000000000000002"],
    ["2026-10-01T12:01:59.999Z", 400, "0000000000000002"],
    ["2026-10-01T14:01:00+02:00", 400, "0000000000000002"],
    [String(stampMs(1)), 3, "0000000000000001"],
    [String(stampMs(3) / 1000), 100, "0000000000000003"],
  ])("answers as of %s, in the path and as a parameter", async (ref, count, txid) => {
    const inPath = await call(
      `/v1/dbs/shop/at/${encodeURIComponent(ref)}/query?sql=${encodeURIComponent(COUNT)}`,
    );
    expect(await inPath.json()).toMatchObject({ txid, rows: [[count]], requested_at: ref });
    const asParameter = await query("shop", { sql: COUNT, at: ref });
    expect(await asParameter.json()).toMatchObject({ txid, rows: [[count]] });
  });

  it("reads a time zone whose plus sign was not escaped", async () => {
    const response = await call(
      `/v1/dbs/shop/query?at=2026-10-01T14:01:00+02:00&sql=${encodeURIComponent(COUNT)}`,
    );
    expect(response.headers.get("x-txid")).toBe("0000000000000002");
  });

  it("says so when the replica is coarser than the moment", async () => {
    await putReplica(env.BUCKET, "coarse", shop, 1);
    await putLtx(env.BUCKET, shop, { path: "coarse", level: 1, minTxid: 2, maxTxid: 3 });
    const response = await query("coarse", { sql: COUNT, at: "2026-10-01T12:01:30Z" });
    expect(response.headers.get("x-exact")).toBe("false");
    expect(await response.json()).toMatchObject({ txid: "0000000000000001", exact: false });
    // The same plan by its TXID is what was asked for.
    const pinned = await query("coarse", { sql: COUNT, at: "txid:1" });
    expect(pinned.headers.get("x-exact")).toBe("true");
  });
});

describe("caching", () => {
  it.each([
    ["at a TXID", { sql: COUNT, at: "txid:2" }, "private, max-age=300, immutable"],
    [
      "at a moment behind the head",
      { sql: COUNT, at: "2026-10-01T12:01:00Z" },
      "private, max-age=300, immutable",
    ],
    ["at the newest moment", { sql: COUNT, at: "2026-10-01T12:05:00Z" }, "private, max-age=60"],
    ["at a moment that moves", { sql: COUNT, at: "-1s" }, "private, no-cache"],
    ["at latest", { sql: COUNT }, "private, no-cache"],
    ["of what is not the same twice", { sql: "SELECT random()", at: "txid:2" }, "no-store"],
    ["of what asks for the clock", { sql: "SELECT datetime('now')" }, "no-store"],
  ])("%s", async (_name, parameters, cacheControl) => {
    await query("shop", { sql: COUNT });
    const response = await query("shop", parameters);
    expect(response.headers.get("cache-control")).toBe(cacheControl);
    expect(response.headers.has("etag")).toBe(cacheControl !== "no-store");
  });

  it("names the URL that stays, for a moment", async () => {
    const response = await query("shop", {
      sql: "SELECT 1",
      at: "2026-10-01T12:01:00Z",
      limit: "5",
    });
    const canonical = response.headers.get("content-location") ?? "";
    expect(canonical).toBe("/v1/dbs/shop/at/0000000000000002/query?sql=SELECT+1&limit=5");
    expect(await rowsOf(await call(canonical))).toEqual([[1]]);
  });

  it("answers 304 before any SQL is run", async () => {
    const first = await query("shop", { sql: COUNT });
    const etag = first.headers.get("etag") ?? "";
    expect(etag).toMatch(/^"[0-9a-f]{32}"$/);
    for (const header of [etag, `W/${etag}`, `"x", ${etag}`]) {
      const again = await query("shop", { sql: COUNT }, { "if-none-match": header });
      expect(again.status).toBe(304);
      expect(again.headers.get("etag")).toBe(etag);
      expect(await again.text()).toBe("");
    }
    // Broken SQL with a validator that somebody made up is still looked at.
    const broken = await query("shop", { sql: "SELEC" }, { "if-none-match": etag });
    expect(broken.status).toBe(400);
  });

  it.each<Record<string, string>>([
    { sql: `${COUNT} WHERE id = ?`, args: "[1]" },
    { sql: `${COUNT} WHERE id = ?`, args: "[1.0]" },
    { sql: `${COUNT} WHERE id = ?`, args: '["1"]' },
    { sql: COUNT, limit: "5" },
    { sql: COUNT, shape: "first" },
    { sql: COUNT, at: "txid:2" },
  ])("gives %j a validator of its own", async (parameters) => {
    const etag = (await query("shop", { sql: COUNT })).headers.get("etag") ?? "";
    const response = await query("shop", parameters, { "if-none-match": etag });
    expect(response.status).toBe(200);
    expect(response.headers.get("etag")).not.toBe(etag);
  });

  it("never stores the answer to a POST", async () => {
    const response = await post("shop", JSON.stringify({ sql: COUNT, at: "txid:2" }));
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(response.headers.has("etag")).toBe(false);
  });
});

/** Whether an answer says that all of its pages were verified. */
async function isVerified(sql: string, parameters: Readonly<Record<string, string>> = {}) {
  const response = await query("trusted", { sql, ...parameters });
  const { verified } = await response.json<{ verified: boolean }>();
  expect(response.headers.get("x-verified")).toBe(String(verified));
  return verified;
}

describe("verified", () => {
  it("says whether every page was held against a checksum, whoever keeps it now", async () => {
    const orders = inject("orders");
    const first = "SELECT count(*) FROM orders WHERE id < 4";
    // Too large to be read whole for a query.
    await putReplica(env.BUCKET, "trusted", orders, 1);
    expect(await isVerified(first)).toBe(false);
    // SQLite's own cache holds the pages now, and the reader is asked for none.
    expect(await isVerified(first)).toBe(false);
    await putReplica(env.BUCKET, "trusted", shop, 3);
    const again = { max_stale_ms: "0" };
    expect(await isVerified("SELECT count(*) FROM items", again)).toBe(true);
  });
});
