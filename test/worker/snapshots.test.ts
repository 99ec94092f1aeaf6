import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, inject, it, vi } from "vitest";
import { storeSink } from "../../shared/replica/edge-bundle/bundle-sink.ts";
import { updateBundle } from "../../shared/replica/edge-bundle/update-bundle.ts";
import { R2Store } from "../../worker/storage/r2-store.ts";
import { imageAt } from "../support/ltx-from-images.ts";
import { call, callWith, countBucket } from "../support/workerd/api.ts";
import { putLtx, putReplica } from "../support/workerd/replica.ts";

const shop = inject("shop");
const orders = inject("orders");
const PATH = "/v1/dbs/shop/snapshots/0000000000000002/shop.db";

async function bytesOf(response: Response): Promise<Uint8Array> {
  return new Uint8Array(await response.arrayBuffer());
}

/** Compared by hand: of megabytes, `toEqual` makes seconds. */
function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** The headers that depend on the version alone. */
function ofVersion(headers: Headers) {
  return [...headers].filter(([name]) => name !== "x-replica-age");
}

beforeAll(async () => {
  await putReplica(env.BUCKET, "shop", shop);
  await putReplica(env.BUCKET, "orders", orders);
});

describe("GET /v1/dbs/:db/snapshots/:ref/:filename", () => {
  it("gives the database's bytes as SQLite wrote them", async () => {
    for (const txid of [1, 2, 3]) {
      const response = await call(`/v1/dbs/shop/snapshots/txid:${txid}/shop.db`);
      expect(response.status).toBe(200);
      expect(isEqual(await bytesOf(response), imageAt(shop, txid))).toBe(true);
    }
    const large = await call("/v1/dbs/orders/snapshots/latest/orders.db");
    expect(isEqual(await bytesOf(large), imageAt(orders, 2))).toBe(true);
  });

  it("tells its length, its version, its name and how to keep it", async () => {
    const response = await call(PATH);
    await response.arrayBuffer();
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "application/vnd.sqlite3",
      "content-length": "20480",
      "content-disposition": 'attachment; filename="shop-20261001T120100Z-2.db"',
      "accept-ranges": "bytes",
      "cache-control": "private, max-age=300, immutable, no-transform",
      etag: expect.stringMatching(/^"[0-9a-f]{24}"$/),
      "x-txid": "0000000000000002",
      "x-txid-timestamp": "2026-10-01T12:01:00.000Z",
      "x-exact": "true",
      "x-verified": "false",
    });
  });

  it("answers HEAD with the same headers, no body and nothing read but the files' beginnings", async () => {
    const get = await call(PATH);
    await get.arrayBuffer();
    const { bucket, counts } = countBucket(env.BUCKET);
    const head = await callWith({ BUCKET: bucket }, PATH, { method: "HEAD" });
    expect(ofVersion(head.headers)).toEqual(ofVersion(get.headers));
    expect(await head.text()).toBe("");
    expect(counts).toEqual({ lists: 0, gets: 0 });
  });

  it.each([
    ["bytes=0-99", 0, 100],
    ["bytes=100-", 100, 20_480],
    ["bytes=-16", 20_464, 20_480],
    ["bytes=1000-3000", 1_000, 3_001],
    ["bytes=20479-99999", 20_479, 20_480],
  ])("answers %s", async (range, start, end) => {
    const response = await call(PATH, { headers: { range } });
    expect(response.status).toBe(206);
    expect(response.headers.get("content-range")).toBe(`bytes ${start}-${end - 1}/20480`);
    expect(response.headers.get("content-length")).toBe(String(end - start));
    expect(await bytesOf(response)).toEqual(imageAt(shop, 2).subarray(start, end));
  });

  it("reads for a range only what the range holds", async () => {
    const { bucket, counts } = countBucket(env.BUCKET);
    const path = "/v1/dbs/orders/snapshots/txid:2/orders.db";
    await (await call(path, { method: "HEAD" })).text();
    const range = "bytes=1000000-1000099";
    const response = await callWith({ BUCKET: bucket }, path, { headers: { range } });
    expect(await bytesOf(response)).toEqual(imageAt(orders, 2).subarray(1_000_000, 1_000_100));
    expect(counts).toEqual({ lists: 0, gets: 1 });
  });

  it.each([["bytes=0-0,5-5"], ["bytes=5-4"], ["lines=1-2"]])("passes over %s", async (range) => {
    const response = await call(PATH, { headers: { range } });
    expect(response.status).toBe(200);
    expect(await bytesOf(response)).toHaveLength(20_480);
  });

  it.each([["bytes=20480-"], ["bytes=-0"]])("refuses %s with 416", async (range) => {
    const response = await call(PATH, { headers: { range } });
    expect(response.headers.get("content-range")).toBe("bytes */20480");
    expect(await response.json()).toMatchObject({ status: 416, code: "range" });
  });
});

describe("conditions", () => {
  it("resumes only the same file", async () => {
    const etag = (await call(PATH, { method: "HEAD" })).headers.get("etag") ?? "";
    const range = "bytes=100-199";
    const same = await call(PATH, { headers: { range, "if-range": etag } });
    expect(same.status).toBe(206);
    const other = await call(PATH, { headers: { range, "if-range": '"other"' } });
    expect(other.status).toBe(200);
    expect(await bytesOf(other)).toHaveLength(20_480);
  });

  it("answers 304, 412 and 206 in the order of RFC 9110", async () => {
    const etag = (await call(PATH, { method: "HEAD" })).headers.get("etag") ?? "";
    const statusOf = async (headers: Record<string, string>) => {
      const response = await call(PATH, { headers });
      await response.arrayBuffer();
      return response.status;
    };
    expect(await statusOf({ "if-none-match": etag })).toBe(304);
    expect(await statusOf({ "if-none-match": '"other"' })).toBe(200);
    expect(await statusOf({ "if-match": etag, range: "bytes=0-9" })).toBe(206);
    expect(await statusOf({ "if-match": '"other"', "if-none-match": etag })).toBe(412);
  });

  it("gives another version another validator", async () => {
    const etags = await Promise.all(
      [1, 2, 3].map(async (txid) => {
        const path = `/v1/dbs/shop/snapshots/txid:${txid}/shop.db`;
        return (await call(path, { method: "HEAD" })).headers.get("etag");
      }),
    );
    expect(new Set(etags).size).toBe(3);
  });
});

describe("a version that moves", () => {
  it.each([
    ["latest", "private, no-cache, no-transform"],
    ["2026-10-01T12:10:00Z", "private, max-age=60, no-transform"],
  ])("names the TXID it led to, and gives no ranges: %s", async (ref, cacheControl) => {
    const path = `/v1/dbs/shop/snapshots/${ref}/shop.db`;
    const response = await call(path, { headers: { range: "bytes=0-9" } });
    expect(response.status).toBe(200);
    expect(response.headers.get("accept-ranges")).toBe("none");
    expect(response.headers.get("cache-control")).toBe(cacheControl);
    const canonical = response.headers.get("content-location") ?? "";
    expect(canonical).toBe("/v1/dbs/shop/snapshots/0000000000000003/shop.db");
    expect(await bytesOf(response)).toEqual(await bytesOf(await call(canonical)));
  });

  it("gives ranges to a client that says which file it has", async () => {
    const path = "/v1/dbs/shop/snapshots/latest/shop.db";
    const etag = (await call(path, { method: "HEAD" })).headers.get("etag") ?? "";
    const headers = { range: "bytes=0-9", "if-range": etag };
    expect((await call(path, { headers })).status).toBe(206);
  });
});

describe("refusals", () => {
  it("names the neighbours of a TXID that has gone", async () => {
    await putReplica(env.BUCKET, "coarse", shop, 1);
    await putLtx(env.BUCKET, shop, { path: "coarse", level: 1, minTxid: 2, maxTxid: 3 });
    const response = await call("/v1/dbs/coarse/snapshots/0000000000000002/x.db");
    expect(await response.json()).toMatchObject({
      status: 410,
      code: "version-expired",
      neighbours: { before: "0000000000000001", after: "0000000000000003" },
    });
  });

  it.each([
    ["a TXID beyond the newest", "/v1/dbs/shop/snapshots/txid:9/x.db", 409, "txid-too-new"],
    ["what is no ref", "/v1/dbs/shop/snapshots/new/x.db", 400, "bad-ref"],
    ["a database that is not there", "/v1/dbs/none/snapshots/latest/x.db", 404, "db-not-found"],
    ["an unknown parameter", `${PATH}?journal=delete`, 400, "bad-request"],
  ])("%s", async (_name, path, status, code) => {
    expect(await (await call(path)).json()).toMatchObject({ status, code });
  });

  it("breaks the transfer off when a file turns out to be damaged, rather than end it short", async () => {
    const [key = ""] = await putReplica(env.BUCKET, "torn", orders);
    const whole = new Uint8Array(
      (await (await env.BUCKET.get(key))?.arrayBuffer()) ?? new ArrayBuffer(),
    );
    whole.fill(0xff, 200_000, 210_000);
    await env.BUCKET.put(key, whole);
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    const response = await call("/v1/dbs/torn/snapshots/latest/x.db");
    expect(response.status).toBe(200);
    await expect(response.arrayBuffer()).rejects.toThrow();
    expect(JSON.parse(String(log.mock.calls[0]?.[0]))).toMatchObject({ code: "corrupt-page" });
    log.mockRestore();
  });
});

describe("the database file of a replica with an edge bundle", () => {
  it("is the same, and while the bundle's base goes away", async () => {
    const replica = { store: new R2Store(env.BUCKET), path: "bundled-file", layout: "s3" } as const;
    await putReplica(env.BUCKET, replica.path, orders, 1);
    await updateBundle(replica, storeSink(replica), { hotBytesMax: 0 });
    await putLtx(env.BUCKET, orders, { path: replica.path, level: 0, minTxid: 2, maxTxid: 2 });
    const whole = await call("/v1/dbs/bundled-file/snapshots/latest/orders.db");
    expect(isEqual(await bytesOf(whole), imageAt(orders, 2))).toBe(true);
    const { objects } = await env.BUCKET.list({ prefix: "bundled-file/eddy/base-" });
    await env.BUCKET.delete(objects.map(({ key }) => key));
    const again = await call("/v1/dbs/bundled-file/snapshots/txid:2/orders.db");
    expect(isEqual(await bytesOf(again), imageAt(orders, 2))).toBe(true);
  });
});
