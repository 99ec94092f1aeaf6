import { env } from "cloudflare:workers";
import { describe, expect, inject, it } from "vitest";
import type { Env } from "../../worker/env.ts";
import { callWith, countBucket, query } from "../support/workerd/api.ts";
import { putLtx, putReplica } from "../support/workerd/replica.ts";

const shop = inject("shop");
const COUNT = "SELECT count(*) FROM items";
const FRESH = { sql: COUNT, shape: "first", max_stale_ms: "0" };

/** Counts what one query asks of the bucket. */
async function costOf(
  database: string,
  parameters: Readonly<Record<string, string>>,
  variables: Partial<Env> = {},
) {
  const { bucket, counts } = countBucket(env.BUCKET);
  const search = new URLSearchParams(parameters).toString();
  const response = await callWith(
    { BUCKET: bucket, ...variables },
    `/v1/dbs/${database}/query?${search}`,
  );
  return { rows: await response.json(), ...counts };
}

describe("the newest transaction", () => {
  it("is trusted for HEAD_TTL_MS, and asked for by one ranged read afterwards", async () => {
    await putReplica(env.BUCKET, "ttl", shop, 1);
    expect(await costOf("ttl", FRESH)).toEqual({ rows: [3], lists: 1, gets: 2 });
    const warm = { sql: COUNT, shape: "first", max_stale_ms: "60000" };
    expect(await costOf("ttl", warm)).toEqual({
      rows: [3],
      lists: 0,
      gets: 0,
    });
    expect(await costOf("ttl", FRESH)).toEqual({ rows: [3], lists: 0, gets: 1 });
    const noCache = await query("ttl", { sql: COUNT }, { "cache-control": "no-cache" });
    expect(noCache.headers.get("x-bytes-fetched")).toBe("0");
    expect(noCache.headers.get("x-replica-age")).toMatch(/^0\.0/);
  });

  it.each([
    // Within the hour that nothing reaches, no request looks, and no timer does.
    ["3600000", { rows: [3], lists: 0, gets: 0 }],
    ["0", { rows: [400], lists: 0, gets: 3 }],
  ])("is trusted for as long as HEAD_TTL_MS=%s says", async (ttl, expected) => {
    const path = `ttl-${ttl}`;
    await putReplica(env.BUCKET, path, shop, 1);
    await costOf(path, FRESH);
    await putLtx(env.BUCKET, shop, { path, level: 0, minTxid: 2, maxTxid: 2 });
    expect(await costOf(path, { sql: COUNT, shape: "first" }, { HEAD_TTL_MS: ttl })).toEqual(
      expected,
    );
  });

  it("is seen as soon as it is in the bucket, for one file's reads", async () => {
    await putReplica(env.BUCKET, "follow", shop, 1);
    await costOf("follow", FRESH);
    await putLtx(env.BUCKET, shop, { path: "follow", level: 0, minTxid: 2, maxTxid: 2 });
    // The new file itself, the key after it, and whether the one that was last is still the same.
    expect(await costOf("follow", FRESH)).toEqual({ rows: [400], lists: 0, gets: 3 });
    await putLtx(env.BUCKET, shop, { path: "follow", level: 0, minTxid: 3, maxTxid: 3 });
    expect(await costOf("follow", FRESH)).toEqual({ rows: [100], lists: 0, gets: 3 });
    // What was newest before is still at hand.
    expect(await costOf("follow", { ...FRESH, at: "txid:2" })).toEqual({
      rows: [400],
      lists: 0,
      gets: 0,
    });
  });

  it("never mixes two histories of one path", async () => {
    await putReplica(env.BUCKET, "again", shop, 2);
    expect(await costOf("again", FRESH)).toMatchObject({ rows: [400] });
    const orders = inject("orders");
    const other = {
      pageSize: orders.pageSize,
      versions: [...orders.versions, ...orders.versions.slice(0, 1)],
    };
    await putReplica(env.BUCKET, "again", other);
    const sql = "SELECT count(*) FROM orders WHERE note = 'paid'";
    expect(await costOf("again", { ...FRESH, sql })).toMatchObject({ rows: [0] });
  });

  it("is planned anew, once, when its files have gone before a row was sent", async () => {
    const orders = inject("orders");
    const sql = "SELECT count(*) FROM orders WHERE note = 'paid'";
    const keys = await putReplica(env.BUCKET, "moved", orders);
    expect((await query("moved", { sql: "SELECT 1 FROM orders LIMIT 1" })).status).toBe(200);
    await putLtx(env.BUCKET, orders, { path: "moved", level: 9, minTxid: 1, maxTxid: 2 });
    await env.BUCKET.delete(keys);
    const response = await query("moved", { sql, shape: "first" });
    expect(await response.json()).toEqual([10]);
    // The isolate has kept the new plan: nothing is listed again.
    const warm = { sql, shape: "first", max_stale_ms: "60000" };
    expect(await costOf("moved", warm)).toMatchObject({ rows: [10], lists: 0 });
  });

  it("may be another TXID when the one that was newest has gone", async () => {
    const orders = inject("orders");
    const [first = ""] = await putReplica(env.BUCKET, "newer", orders, 1);
    const sql = "SELECT count(*) FROM orders WHERE note = 'paid'";
    expect((await query("newer", { sql: "SELECT 1 FROM orders LIMIT 1" })).status).toBe(200);
    await putLtx(env.BUCKET, orders, { path: "newer", level: 9, minTxid: 1, maxTxid: 2 });
    await env.BUCKET.delete(first);
    const pinned = await query("newer", { sql, at: "txid:1" });
    expect(await pinned.json()).toMatchObject({
      status: 410,
      code: "version-expired",
      neighbours: { after: "0000000000000002" },
    });
    const latest = await query("newer", { sql });
    expect(await latest.json()).toMatchObject({ txid: "0000000000000002", rows: [[10]] });
  });
});

describe("min_txid", () => {
  it("waits until the transaction is there", async () => {
    await putReplica(env.BUCKET, "wait", shop, 1);
    const waiting = query("wait", {
      sql: COUNT,
      shape: "first",
      min_txid: "txid:2",
      wait_ms: "5000",
    });
    await query("wait", FRESH);
    await putLtx(env.BUCKET, shop, { path: "wait", level: 0, minTxid: 2, maxTxid: 2 });
    expect(await (await waiting).json()).toEqual([400]);
  });

  it.each([
    ["as a parameter", { min_txid: "0000000000000009", wait_ms: "1" }, {}],
    ["as X-Min-Txid", { wait_ms: "1" }, { "x-min-txid": "txid:9" }],
    ["as a bookmark", { wait_ms: "1" }, { "x-d1-bookmark": "0000000000000009" }],
  ])(
    "is answered 503 with the head when the time is over, %s",
    async (_name, parameters, headers) => {
      await putReplica(env.BUCKET, "behind", shop);
      const response = await query("behind", { sql: COUNT, ...parameters }, headers);
      expect(response.status).toBe(503);
      expect(response.headers.get("retry-after")).toBe("1");
      expect(await response.json()).toMatchObject({
        code: "replica-behind",
        txid: "0000000000000003",
      });
    },
  );

  it("costs nothing when the transaction is known", async () => {
    await putReplica(env.BUCKET, "known", shop);
    await query("known", FRESH);
    const cost = await costOf("known", {
      sql: COUNT,
      shape: "first",
      min_txid: "txid:3",
      wait_ms: "0",
    });
    expect(cost).toEqual({ rows: [100], lists: 0, gets: 0 });
  });

  it("waits for a pinned TXID too, where wait_ms says so", async () => {
    await putReplica(env.BUCKET, "pinned", shop, 1);
    const waiting = query("pinned", { sql: COUNT, shape: "first", at: "txid:2", wait_ms: "5000" });
    await query("pinned", FRESH);
    await putLtx(env.BUCKET, shop, { path: "pinned", level: 0, minTxid: 2, maxTxid: 2 });
    expect(await (await waiting).json()).toEqual([400]);
  });
});
