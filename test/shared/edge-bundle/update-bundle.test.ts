import { beforeEach, describe, expect, it } from "vitest";
import { formatBaseKey, formatHeadKey } from "../../../shared/replica/edge-bundle/bundle-keys.ts";
import { countingSink, storeSink } from "../../../shared/replica/edge-bundle/bundle-sink.ts";
import { deleteStaleBases } from "../../../shared/replica/edge-bundle/delete-stale-bases.ts";
import {
  readStoredHead,
  updateBundle,
  type UpdateBundleOptions,
} from "../../../shared/replica/edge-bundle/update-bundle.ts";
import { listAllFiles } from "../../../shared/replica/load-plan.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { countingStore, type CountingStore } from "../../support/counting-store.ts";
import { expectBundleTruth, rowsSql } from "../../support/bundle-fixtures.ts";
import { putSpans } from "../../support/ltx-spans.ts";
import { makeDatabaseImages } from "../../support/database-images.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const images = makeDatabaseImages({
  pageSize: 1024,
  transactions: [
    rowsSql("a", 6_000, 90),
    "UPDATE a SET v = 'x' WHERE id = 70",
    "UPDATE a SET v = 'y' WHERE id = 900",
    "INSERT INTO a (k, v) VALUES ('new', 'new')",
    "UPDATE a SET v = v || 'z' WHERE id % 3 = 0",
  ],
});
const other = makeDatabaseImages({
  pageSize: 1024,
  transactions: [rowsSql("b", 50), "DELETE FROM b"],
});

let store: CountingStore;
let replica: Replica;

beforeEach(async () => {
  store = countingStore(new MemoryStore());
  replica = replicaIn(store);
  await putSpans(replica, images, [[9, 1, 1]]);
  await update();
});

async function update(options: UpdateBundleOptions = {}) {
  store.reset();
  return updateBundle(replica, storeSink(replica), options);
}

const keysBelow = async (prefix: string) =>
  (await replica.store.list({ prefix: `db/${prefix}` })).objects.map(({ key }) => key);

describe("updateBundle", () => {
  it("writes nothing where the head names what there is", async () => {
    expect(await update()).toMatchObject({ kind: "none", txid: 1n });
    expect(store.puts).toBe(0);
    expect(store.bytesRead).toBeLessThan(120_000);
  });

  it("reads what is new, and keeps the base, for a few more transactions", async () => {
    const before = (await readStoredHead(replica))!;
    await putSpans(replica, images, [[0, 2, 2]]);
    const { content } = await update();
    expect(content.base).toEqual(before.base);
    expect(content.delta.length).toBeGreaterThan(0);
    await putSpans(replica, images, [
      [0, 3, 3],
      [0, 4, 4],
    ]);
    const report = await update();
    expect(report).toMatchObject({ kind: "head", txid: 4n, previousBase: before.base });
    const ltxReads = store.keysRead.filter((key) => !key.includes("/eddy/"));
    expect(new Set(ltxReads.filter((key) => !key.includes("/0009/")))).toEqual(
      new Set([
        "db/0000/0000000000000003-0000000000000003.ltx",
        "db/0000/0000000000000004-0000000000000004.ltx",
      ]),
    );
    expect(store.puts).toBe(1);
  });

  it("points at a new snapshot without reading it, and does not need the old one for that", async () => {
    await putSpans(replica, images, [
      [0, 2, 2],
      [1, 2, 3],
    ]);
    await update();
    await putSpans(replica, images, [[9, 1, 3]]);
    await replica.store.delete(await keysBelow("0009/0000000000000001-0000000000000001"));
    const [snapshot] = await listAllFiles(replica).then((files) =>
      files.filter(({ level }) => level === 9),
    );
    const report = await update();
    expect(report).toMatchObject({ kind: "base", txid: 3n, base: { txid: 3n, fileCount: 1 } });
    expect(report.content.delta.length).toBe(0);
    const snapshotReads = store.keysRead.filter((key) => key === snapshot.key);
    expect(snapshotReads.length).toBeLessThan(8);
    expect(store.bytesRead).toBeLessThan(0.6 * snapshot.sizeBytes);
    await expectBundleTruth(replica, images, 3);
  });

  it("makes a new base when the delta is large, once a level above 0 has it", async () => {
    const large = makeDatabaseImages({
      pageSize: 512,
      transactions: [
        rowsSql("a", 10_000, 400),
        "UPDATE a SET v = printf('%0400d', id)",
        "UPDATE a SET v = 'x' WHERE id = 5",
      ],
    });
    replica = replicaIn((store = countingStore(new MemoryStore())));
    await putSpans(replica, large, [[1, 1, 1]]);
    const first = await update();
    await putSpans(replica, large, [[0, 2, 2]]);
    const refreshed = await update();
    expect(refreshed).toMatchObject({ kind: "head", base: first.base });
    expect(refreshed.deltaBytes).toBeGreaterThan(64 * 1024);
    await putSpans(replica, large, [
      [1, 2, 2],
      [0, 3, 3],
    ]);
    const rebased = await update();
    expect(rebased).toMatchObject({ kind: "base", txid: 3n, base: { txid: 2n } });
    expect(rebased.deltaBytes).toBeLessThan(100);
    await expectBundleTruth(replica, large, 3);
  });

  it("does without an older bundle that is gone, damaged, or of another history", async () => {
    const { base } = (await readStoredHead(replica))!;
    const key = formatBaseKey(replica, base);
    await replica.store.delete([key]);
    expect(await update()).toMatchObject({ kind: "build" });
    await replica.store.put(key, new Uint8Array(base.sizeBytes));
    expect(await update()).toMatchObject({ kind: "build" });
    await replica.store.put(formatHeadKey(replica), new Uint8Array(100));
    expect(await update()).toMatchObject({ kind: "build" });
    await replica.store.delete(await keysBelow("0009/"));
    await putSpans(replica, other, [
      [0, 1, 1],
      [0, 2, 2],
    ]);
    expect(await update()).toMatchObject({ kind: "build", txid: 2n });
  });

  it("does without an older base of which a part is damaged", async () => {
    await putSpans(replica, images, [
      [1, 2, 3],
      [9, 1, 3],
    ]);
    const { base } = (await readStoredHead(replica))!;
    await replica.store.delete(await keysBelow("0009/0000000000000001-0000000000000001"));
    const key = formatBaseKey(replica, base);
    const { bytes } = (await replica.store.get(key))!;
    bytes[base.mapOffset + 50] ^= 4;
    await replica.store.put(key, bytes);
    expect(await update()).toMatchObject({ kind: "build", txid: 3n });
  });

  it("leaves out files that are about to be deleted", async () => {
    await putSpans(replica, images, [
      [0, 2, 2],
      [0, 3, 3],
      [1, 2, 3],
    ]);
    await update();
    const files = (await listAllFiles(replica)).filter(({ level }) => level > 0);
    const { content } = await update({ files });
    expect(content.files.map(({ level }) => level)).toEqual([9, 1]);
  });

  it("begins again when a file goes between the listing and the read", async () => {
    await putSpans(replica, images, [
      [0, 2, 2],
      [1, 2, 2],
    ]);
    const doomed = await keysBelow("0001/");
    let isFirst = true;
    const get: typeof store.get = async (key, options) => {
      if (key === doomed[0] && isFirst) {
        isFirst = false;
        await replica.store.delete(doomed);
      }
      return store.get(key, options);
    };
    const fragile = { ...replica, store: { ...bound(store), get } };
    const { content } = await updateBundle(fragile, storeSink(fragile));
    expect(isFirst).toBe(false);
    expect(content.files.map(({ level }) => level)).toEqual([9, 0]);
  });

  it("stops when it is told to, and writes nothing then", async () => {
    await putSpans(replica, images, [[0, 2, 2]]);
    const stop = new AbortController();
    const onProgress = () => stop.abort();
    const options = { signal: stop.signal, fromScratch: true, onProgress };
    await expect(update(options)).rejects.toMatchObject({ code: "ABORTED" });
    expect(await readStoredHead(replica)).toMatchObject({ txid: 1n });
  });

  it("names a damaged file rather than vouching for it", async () => {
    await putSpans(replica, images, [[0, 2, 2]]);
    const [key] = await keysBelow("0000/");
    const { bytes } = (await replica.store.get(key))!;
    bytes[130] ^= 1;
    await replica.store.put(key, bytes);
    await expect(update()).rejects.toMatchObject({
      code: "CORRUPT_PAGE",
      message: expect.stringContaining(`"${key}" is damaged`),
    });
  });

  it("writes nothing into a sink that counts", async () => {
    await putSpans(replica, images, [[0, 2, 2]]);
    store.reset();
    const report = await updateBundle(replica, countingSink(), { fromScratch: true });
    expect(report.base.sizeBytes).toBeGreaterThan(10_000);
    expect(store.puts).toBe(0);
  });
});

describe("deleteStaleBases", () => {
  it("keeps what the head names, the one before, and what is young", async () => {
    const dayMs = 86_400_000;
    const memory = replicaIn(new MemoryStore({ now: () => 5 * dayMs }));
    await putSpans(memory, images, [[9, 1, 1]]);
    const { base } = await updateBundle(memory, storeSink(memory));
    const previous = { ...base, id: 7n };
    const keys = [base, previous, { ...base, id: 8n }].map((each) => formatBaseKey(memory, each));
    for (const key of keys.slice(1)) await memory.store.put(key, new Uint8Array(3));
    const young = await deleteStaleBases(memory, { previous, nowMs: 5 * dayMs + 1_000 });
    expect(young).toEqual([]);
    const deleted = await deleteStaleBases(memory, { previous, nowMs: 6 * dayMs });
    expect(deleted).toEqual([keys[2]]);
    await memory.store.delete([formatHeadKey(memory)]);
    expect(await deleteStaleBases(memory, { nowMs: 6 * dayMs })).toEqual([]);
  });
});

function bound(counting: CountingStore) {
  return {
    list: counting.list.bind(counting),
    get: counting.get.bind(counting),
    put: counting.put.bind(counting),
    delete: counting.delete.bind(counting),
  };
}
