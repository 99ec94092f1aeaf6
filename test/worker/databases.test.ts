import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, inject, it, vi } from "vitest";
import { formatTxid, toTxid } from "../../shared/ltx/txid.ts";
import { MemoryStore } from "../../shared/storage/memory-store.ts";
import { updateBundle } from "../../shared/replica/edge-bundle/update-bundle.ts";
import { storeSink } from "../../shared/replica/edge-bundle/bundle-sink.ts";
import { R2Store } from "../../worker/storage/r2-store.ts";
import { discoverReplicas } from "../../worker/replicas/discover.ts";
import { countingStore } from "../support/counting-store.ts";
import { call, callWith, countBucket } from "../support/workerd/api.ts";
import { putLtx, putReplica } from "../support/workerd/replica.ts";

const shop = inject("shop");

beforeAll(async () => {
  await putReplica(env.BUCKET, "shop", shop);
});

function nameOf(txid: number): string {
  const text = formatTxid(toTxid(BigInt(txid)));
  return `${text}-${text}.ltx`;
}

/** One of the many keys of a replica of Litestream 0.3. */
function legacyKeyOf(index: number): string {
  return `a/generations/0123456789abcdef/wal/000000${10 + index}_00000000.wal.lz4`;
}

describe("GET /v1/dbs", () => {
  it("finds the databases below the root, hopping over the keys of each", async () => {
    const bucket = env.BUCKET;
    for (const path of ["found/a", "found/b.db", "found/deep/er/app.db"]) {
      await putReplica(bucket, path, shop);
    }
    // What must not be taken for a database, or end the search.
    await bucket.put("found/a/eddy/head", "x");
    await bucket.put("found/b0/notes.txt", "x");
    await bucket.put("found/c/generations/0123456789abcdef/snapshots/00000000.snapshot.lz4", "x");
    await bucket.put("found/c/0000/readme.txt", "x");
    await putReplica(bucket, "found/Upper.db", shop, 1);
    const found = await callWith({ REPLICA_ROOT: "/found/" }, "/v1/dbs");
    expect(await found.json()).toEqual({
      databases: [{ name: "a" }, { name: "b.db" }, { name: "deep--er--app.db" }],
      unnamed: ["Upper.db"],
      truncated: false,
    });
    const deep = await callWith({ REPLICA_ROOT: "found" }, "/v1/dbs/deep--er--app.db");
    expect(await deep.json()).toMatchObject({ path: "found/deep/er/app.db" });
  });

  it("answers from DATABASES without touching the bucket", async () => {
    const { bucket, counts } = countBucket(env.BUCKET);
    const variables = { BUCKET: bucket, DATABASES: '{"web":"shop","app":"/prod/app.db/"}' };
    const response = await callWith(variables, "/v1/dbs");
    expect(await response.json()).toMatchObject({ databases: [{ name: "app" }, { name: "web" }] });
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(counts).toEqual({ lists: 0, gets: 0 });
    expect(await (await callWith(variables, "/v1/dbs/web")).json()).toMatchObject({
      name: "web",
      path: "shop",
    });
  });
});

describe("discoverReplicas", () => {
  it("asks for one page of keys for a database of many", async () => {
    const memory = new MemoryStore({ pageSize: 10 });
    for (const path of ["many/one", "many/two"]) {
      for (let txid = 1; txid <= 35; txid++) {
        await memory.put(`${path}/0000/${nameOf(txid)}`, new Uint8Array(1));
      }
    }
    const store = countingStore(memory);
    const found = await discoverReplicas(store, "many");
    expect(found).toEqual({ paths: ["one", "two"], truncated: false });
    expect(store.lists).toBe(3);
  });

  it("finds a database below the path of another, however many keys that has", async () => {
    const memory = new MemoryStore({ pageSize: 10 });
    const keys = ["a/lock.json", `a/sub/0000/${nameOf(1)}`, `b/0000/${nameOf(1)}`];
    for (let n = 1; n <= 35; n++) keys.push(`a/0000/${nameOf(n)}`, legacyKeyOf(n));
    for (const key of keys) await memory.put(key, new Uint8Array(1));
    const store = countingStore(memory);
    const found = await discoverReplicas(store, "");
    expect(found).toEqual({ paths: ["a", "a/sub", "b"], truncated: false });
    expect(store.lists).toBe(3);
  });

  it("ends at its bound, and says so", async () => {
    const memory = new MemoryStore({ pageSize: 1 });
    for (let index = 10; index < 70; index++) {
      await memory.put(`db${index}/0009/${nameOf(1)}`, new Uint8Array(1));
    }
    const found = await discoverReplicas(memory, "");
    expect(found.paths.slice(0, 2)).toEqual(["db10", "db11"]);
    expect(found).toMatchObject({ truncated: true, paths: { length: 50 } });
  });
});

describe("GET /v1/dbs/:db", () => {
  it("says how large it is, how far back it goes, and what a query may use", async () => {
    await putReplica(env.BUCKET, "levels", shop);
    await putLtx(env.BUCKET, shop, { path: "levels", level: 1, minTxid: 1, maxTxid: 2 });
    const response = await call("/v1/dbs/levels");
    const body = await response.json<{ levels: { bytes: number }[]; bytes: number }>();
    expect(body).toMatchObject({
      name: "levels",
      path: "levels",
      txid: "0000000000000003",
      timestamp: "2026-10-01T12:02:00.000Z",
      page_size: 1024,
      page_count: 20,
      size_bytes: 20_480,
      earliest: { txid: "0000000000000001", timestamp: "2026-10-01T12:00:00.000Z" },
      levels: [
        { level: 0, files: 3, min_txid: "0000000000000001", max_txid: "0000000000000003" },
        { level: 1, files: 1, min_txid: "0000000000000001", max_txid: "0000000000000002" },
      ],
      bundle: null,
      limits: { rows: 10_000, args: 1_000, sql_bytes: 100_000 },
    });
    expect(body.levels.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(body.bytes);
    expect(response.headers.get("x-txid")).toBe("0000000000000003");
    expect(response.headers.get("cache-control")).toBe("no-store");
  });

  it("says what the edge bundle beside it describes", async () => {
    await putReplica(env.BUCKET, "bundled", shop, 2);
    const replica = { store: new R2Store(env.BUCKET), path: "bundled", layout: "s3" } as const;
    const report = await updateBundle(replica, storeSink(replica));
    await putLtx(env.BUCKET, shop, { path: "bundled", level: 0, minTxid: 3, maxTxid: 3 });
    expect(await (await call("/v1/dbs/bundled")).json()).toMatchObject({
      txid: "0000000000000003",
      bundle: {
        txid: "0000000000000002",
        timestamp: "2026-10-01T12:01:00.000Z",
        files: 2,
        head_bytes: report.headBytes,
        base_txid: "0000000000000002",
        base_bytes: report.base.sizeBytes,
      },
    });
    await env.BUCKET.put("bundled/eddy/head", "not a bundle's head at all");
    expect(await (await call("/v1/dbs/bundled")).json()).toMatchObject({ bundle: null });
  });

  it.each([
    ["a database that is not there", "/v1/dbs/nothing", 404, "db-not-found"],
    ["its query", "/v1/dbs/nothing/query?sql=SELECT+1", 404, "db-not-found"],
    ["a name that none can have", "/v1/dbs/NOTHING", 404, "db-not-found"],
    ["a reserved name", "/v1/dbs/v2/query?sql=SELECT+1", 404, "db-not-found"],
    ["a path that climbs", "/v1/dbs/..%2Fshop", 404, "db-not-found"],
    ["an unknown parameter", "/v1/dbs/shop?at=latest", 400, "bad-request"],
  ])("refuses %s", async (_name, path, status, code) => {
    expect(await (await call(path)).json()).toMatchObject({ status, code });
  });

  it("names a replica of Litestream 0.3, and what to do", async () => {
    await env.BUCKET.put("old/generations/0123456789abcdef/snapshots/00000000.snapshot.lz4", "x");
    const response = await call("/v1/dbs/old");
    expect(await response.json()).toMatchObject({
      status: 404,
      code: "legacy-replica",
      detail: expect.stringContaining("upgrade Litestream"),
    });
  });

  it("names the damaged file", async () => {
    const [, key = ""] = await putReplica(env.BUCKET, "damaged", shop);
    const stored = new Uint8Array(
      (await (await env.BUCKET.get(key))?.arrayBuffer()) ?? new ArrayBuffer(),
    );
    stored[150] = (stored[150] ?? 0) ^ 1;
    await env.BUCKET.put(key, stored);
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    const response = await call("/v1/dbs/damaged/query?sql=SELECT+1");
    expect(log).toHaveBeenCalledTimes(1);
    log.mockRestore();
    expect(await response.json()).toMatchObject({
      status: 500,
      code: "corrupt-page",
      detail: expect.stringContaining(key),
    });
  });
});

describe("GET /v1/dbs/:db/resolve", () => {
  it.each([
    ["2026-10-01T12:01:30Z", "0000000000000002", true],
    ["latest", "0000000000000003", true],
    ["txid:1", "0000000000000001", true],
  ])("resolves %s", async (at, txid, exact) => {
    const response = await call(`/v1/dbs/shop/resolve?at=${encodeURIComponent(at)}`);
    expect(await response.json()).toMatchObject({
      txid,
      exact,
      requested: at,
      range: { min: "0000000000000001", max: "0000000000000003" },
      available_until: null,
    });
  });

  it("names the neighbours of a TXID that was compacted away", async () => {
    await putReplica(env.BUCKET, "compacted", shop, 1);
    await putLtx(env.BUCKET, shop, { path: "compacted", level: 1, minTxid: 2, maxTxid: 3 });
    const gone = await call("/v1/dbs/compacted/resolve?at=txid:2");
    expect(await gone.json()).toMatchObject({
      status: 410,
      code: "version-expired",
      neighbours: { before: "0000000000000001", after: "0000000000000003" },
      range: { min: "0000000000000001", max: "0000000000000003" },
    });
    const latest = await call("/v1/dbs/compacted/resolve?at=latest");
    expect(await latest.json()).toMatchObject({
      txid: "0000000000000003",
      neighbours: { before: "0000000000000001" },
    });
  });

  it.each([
    ["nothing to resolve", "", 400, "bad-request"],
    ["what is no ref", "?at=now", 400, "bad-ref"],
    ["a moment before the first", "?at=2020-01-01T00:00:00Z", 404, "time-out-of-range"],
    ["a TXID beyond the newest", "?at=txid:9", 409, "txid-too-new"],
  ])("refuses %s", async (_name, search, status, code) => {
    expect(await (await call(`/v1/dbs/shop/resolve${search}`)).json()).toMatchObject({
      status,
      code,
    });
  });

  it("refuses a moment that a gap hides", async () => {
    await putReplica(env.BUCKET, "gap", shop, 1);
    await putLtx(env.BUCKET, shop, { path: "gap", level: 0, minTxid: 3, maxTxid: 3 });
    for (const at of ["2026-10-01T12:05:00Z", "latest"]) {
      const response = await call(`/v1/dbs/gap/resolve?at=${at}`);
      expect(await response.json()).toMatchObject({ status: 410, code: "replica-gap" });
    }
  });
});
