/** Parts of objects in the platform's cache: what they save, and that they are never stale. */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, inject, test } from "vitest";
import type { ObjectStore } from "../../shared/storage/object-store.ts";
import { withBlockCache } from "../../worker/storage/block-cache.ts";
import { countingStore } from "../support/counting-store.ts";
import { callWith, countBucket } from "../support/workerd/api.ts";
import { coldReader } from "../support/workerd/cold-reader.ts";
import { ledgerReplica, singles, type LedgerReplica } from "../support/workerd/ledger.ts";
import { putReplica } from "../support/workerd/replica.ts";

const ROW = "SELECT account FROM entries WHERE id = 3001";
const ROW_ANSWER = [[3001 % 97]];
const RANGE = { offset: 200, length: 1_000 };

let ledger: LedgerReplica;
let buckets = 0;

beforeEach(() => {
  ledger = ledgerReplica();
  buckets++;
});

/** The bucket, behind a cache that no other test has written to. */
function cached(store: ObjectStore, cache: Pick<Cache, "match" | "put"> = caches.default) {
  const context = createExecutionContext();
  const behind = withBlockCache(store, { cache, bucket: `bucket ${buckets}`, context });
  return { store: behind, written: () => waitOnExecutionContext(context) };
}

describe("the data centre's cache", () => {
  test("answers what another isolate has read of pinned objects, and nothing that may change", async () => {
    await ledger.put(...singles(1, 3));
    await ledger.bundle(0);
    const first = countingStore(ledger.memory);
    const one = cached(first);
    expect(await coldReader(one.store).query(ROW)).toMatchObject({ rows: ROW_ANSWER });
    await one.written();
    const second = countingStore(ledger.memory);
    const two = cached(second);
    const answer = await coldReader(two.store).query(ROW);
    expect(answer).toMatchObject({ rows: ROW_ANSWER, verified: true });
    expect(first.gets).toBeGreaterThan(2);
    // The list and the bundle's head are asked for each time.
    expect({ lists: second.lists, keys: second.keysRead }).toEqual({
      lists: 1,
      keys: ["db/eddy/head"],
    });
  });

  test("keeps the size of the object and its ETag with the bytes", async () => {
    await ledger.put(...singles(1, 1));
    const [key = ""] = await ledger.keys("db/0000/");
    const plain = await ledger.memory.get(key, { range: RANGE });
    const one = cached(ledger.memory);
    const read = { range: RANGE, ifMatch: plain!.etag };
    expect(await one.store.get(key, read)).toEqual(plain);
    await one.written();
    const counted = countingStore(ledger.memory);
    const { metadata: _metadata, ...kept } = plain!;
    expect(await cached(counted).store.get(key, read)).toMatchObject(kept);
    expect(counted.gets).toBe(0);
  });

  test("does not answer for another content under the same key", async () => {
    await ledger.put(...singles(1, 1));
    const [key = ""] = await ledger.keys("db/0000/");
    const old = await ledger.memory.get(key, { range: RANGE });
    const one = cached(ledger.memory);
    await one.store.get(key, { range: RANGE, ifMatch: old!.etag });
    await one.written();
    await ledger.memory.put(key, new Uint8Array(5_000));
    const now = await ledger.memory.get(key, { range: RANGE });
    const two = cached(ledger.memory);
    expect(await two.store.get(key, { range: RANGE, ifMatch: now!.etag })).toEqual(now);
    expect(await two.store.get(key, { range: RANGE })).toEqual(now);
  });

  test("is done without where it fails, or has kept only a part", async () => {
    await ledger.put(...singles(1, 3));
    await ledger.bundle();
    const broken = {
      match: () => Promise.reject(new Error("no cache today")),
      put: () => Promise.reject(new Error("no cache today")),
    };
    const one = cached(ledger.memory, broken);
    expect(await coldReader(one.store).query(ROW)).toMatchObject({ rows: ROW_ANSWER });
    await one.written();
    const short = {
      match: () => Promise.resolve(new Response("cut", { headers: { "x-object-bytes": "9000" } })),
      put: () => Promise.resolve(),
    };
    expect(await coldReader(cached(ledger.memory, short).store).query(ROW)).toMatchObject({
      rows: ROW_ANSWER,
      verified: true,
    });
  });

  test("is used where BLOCK_CACHE says so", async () => {
    await putReplica(env.BUCKET, "cached-blocks", inject("orders"), 1);
    const sql = encodeURIComponent("SELECT count(*) FROM orders WHERE id < 4");
    const { bucket } = countBucket(env.BUCKET);
    const response = await callWith(
      { BUCKET: bucket, BLOCK_CACHE: "on" },
      `/v1/dbs/cached-blocks/query?sql=${sql}`,
    );
    expect(await response.json()).toMatchObject({ rows: [[3]] });
  });
});
