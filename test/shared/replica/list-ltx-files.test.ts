import { describe, expect, test } from "vitest";
import {
  listLtxFiles,
  TIMESTAMP_METADATA,
  type ListLtxFilesOptions,
  type LtxFileInfo,
} from "../../../shared/replica/list-ltx-files.ts";
import {
  formatLtxKey,
  formatOldestKey,
  type KeyLayout,
  type Replica,
} from "../../../shared/replica/ltx-key.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import type { Metadata } from "../../../shared/storage/object-store.ts";
import { countingStore, type CountingStore } from "../../support/counting-store.ts";
import { nameOf, txid } from "../../support/replica-fixtures.ts";

interface Listed {
  readonly replica: Replica;
  readonly store: CountingStore;
}

const LAYOUTS: readonly KeyLayout[] = ["s3", "folder"];
const UPLOADED_AT_MS = 5_000;

/** A replica with `count` files of one TXID on level 0, and a file on the levels beside it. */
async function replicaWith(
  count: number,
  { layout = "s3", pageSize = 1000 }: { layout?: KeyLayout; pageSize?: number } = {},
): Promise<Listed> {
  const memory = new MemoryStore({ pageSize, now: () => UPLOADED_AT_MS });
  const replica = { store: countingStore(memory), path: "db", layout };
  const put = (level: number, min: number, max: number) =>
    memory.put(
      formatLtxKey(replica, { level, minTxid: txid(min), maxTxid: txid(max) }),
      new Uint8Array(1),
    );
  for (let n = 1; n <= count; n++) await put(0, n, n);
  await put(1, 1, 7);
  await put(9, 1, 2);
  return { replica, store: replica.store };
}

async function list(replica: Replica, options: ListLtxFilesOptions): Promise<LtxFileInfo[]> {
  return await Array.fromAsync(listLtxFiles(replica, options));
}

async function stampOf(metadata: Metadata, withTimestamps = true): Promise<LtxFileInfo> {
  const { replica } = await replicaWith(0);
  const key = formatLtxKey(replica, { level: 0, minTxid: txid(1), maxTxid: txid(1) });
  await replica.store.put(key, new Uint8Array(1), { metadata });
  const [file] = await list(replica, { level: 0, withTimestamps });
  return file;
}

describe.each(LAYOUTS)("in the layout of a %s", (layout) => {
  test("one level is listed in the order of its TXIDs", async () => {
    const { replica } = await replicaWith(3, { layout });
    expect((await list(replica, { level: 0 })).map(nameOf)).toEqual(["L0[1]", "L0[2]", "L0[3]"]);
    expect((await list(replica, { level: 1 })).map(nameOf)).toEqual(["L1[1-7]"]);
    expect((await list(replica, { level: 5 })).map(nameOf)).toEqual([]);
  });

  test("a listing may begin at any TXID, its own file included", async () => {
    const { replica, store } = await replicaWith(30, { layout, pageSize: 10 });
    const files = await list(replica, { level: 0, seek: txid(29) });
    expect(files.map(nameOf)).toEqual(["L0[29]", "L0[30]"]);
    expect(store.lists).toBe(1);
    expect(await list(replica, { level: 0, seek: txid(31) })).toEqual([]);
  });

  test("keys of others are passed over", async () => {
    const { replica } = await replicaWith(2, { layout });
    const [first] = await list(replica, { level: 0 });
    const folder = first.key.slice(0, first.key.lastIndexOf("/") + 1);
    const foreign = [
      `${folder}0000000000000001-0000000000000001.ltx.tmp`,
      `${folder}000000000000000A-000000000000000A.ltx`,
      `${folder}.DS_Store`,
      `${folder}deeper/0000000000000001-0000000000000001.ltx`,
      "db/lock.json",
      "db/generations/0123456789abcdef/snapshots/00000000.snapshot.lz4",
      "db2/0000/0000000000000001-0000000000000001.ltx",
    ];
    for (const key of foreign) await replica.store.put(key, new Uint8Array(1));
    expect((await list(replica, { level: 0 })).map(nameOf)).toEqual(["L0[1]", "L0[2]"]);
  });
});

describe("pages of a listing", () => {
  test("one is asked for only when the one before is used up", async () => {
    const { replica, store } = await replicaWith(30, { pageSize: 10 });
    const counts: number[] = [];
    for await (const { minTxid } of listLtxFiles(replica, { level: 0 })) {
      if (minTxid % 10n <= 1n) counts.push(store.lists);
    }
    // At TXIDs 1, 10, 11, 20, 21, 30.
    expect(counts).toEqual([1, 1, 2, 2, 3, 3]);
    expect(store.lists).toBe(3);
  });

  test("none is asked for before the first file is wanted, and none after the caller leaves", async () => {
    const { replica, store } = await replicaWith(30, { pageSize: 10 });
    const files = listLtxFiles(replica, { level: 0 });
    expect(store.lists).toBe(0);
    for await (const { minTxid } of files) if (minTxid === 10n) break;
    expect(store.lists).toBe(1);
  });

  test("more than a thousand files come complete", async () => {
    const { replica, store } = await replicaWith(2_345);
    const files = await list(replica, { level: 0 });
    expect(files.map(({ minTxid }) => Number(minTxid))).toEqual(
      Array.from({ length: 2_345 }, (_, index) => index + 1),
    );
    expect(store.lists).toBe(3);
  });

  test("an empty one with a cursor does not end the listing", async () => {
    const { replica } = await replicaWith(3, { pageSize: 2 });
    // R2 may answer so: what it counted against the page was filtered out of it.
    const sparse: Replica = {
      ...replica,
      store: {
        ...replica.store,
        list: async ({ cursor, ...options }) =>
          cursor === undefined
            ? { objects: [], cursor: "start" }
            : await replica.store.list({ ...options, ...(cursor !== "start" && { cursor }) }),
      },
    };
    expect((await list(sparse, { level: 0 })).map(nameOf)).toEqual(["L0[1]", "L0[2]", "L0[3]"]);
  });

  test("a signal that has fired ends it", async () => {
    const { replica } = await replicaWith(3);
    await expect(list(replica, { level: 0, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "ABORTED",
    });
  });
});

describe("the stamp of a file", () => {
  const stamps: [string, number][] = [
    ["2025-01-01T00:00:00Z", Date.UTC(2025, 0, 1)],
    ["2025-01-01T00:00:00.1Z", Date.UTC(2025, 0, 1, 0, 0, 0, 100)],
    ["2025-01-01T00:00:00.123456789Z", Date.UTC(2025, 0, 1, 0, 0, 0, 123)],
    ["2025-01-01T02:00:00+02:00", Date.UTC(2025, 0, 1)],
  ];
  test.each(stamps)("is read from its metadata: %s", async (text, createdAtMs) => {
    expect(await stampOf({ "litestream-timestamp": text })).toMatchObject({
      createdAtMs,
      isStamped: true,
    });
  });

  test.each([{}, { "litestream-timestamp": "" }, { "litestream-timestamp": "yesterday" }])(
    "is the time of the upload where there is none: %o",
    async (metadata) => {
      expect(await stampOf(metadata)).toMatchObject({
        createdAtMs: UPLOADED_AT_MS,
        isStamped: false,
      });
    },
  );

  test("is not asked for unless it is wanted", async () => {
    const metadata = { "litestream-timestamp": "2025-01-01T00:00:00Z" };
    expect(await stampOf(metadata, false)).toMatchObject({ isStamped: false });
  });

  test("says for our own compacted files when their oldest transaction was", async () => {
    const metadata = {
      "litestream-timestamp": "2025-01-01T00:00:10Z",
      "eddy-oldest-timestamp": "2025-01-01T00:00:03Z",
    };
    expect(await stampOf(metadata)).toMatchObject({ oldestAtMs: Date.UTC(2025, 0, 1, 0, 0, 3) });
  });
});

test("in a folder the oldest stamp of a merged file stands beside it", async () => {
  const { replica, store } = await replicaWith(2, { layout: "folder" });
  const merged = { level: 1, minTxid: txid(1), maxTxid: txid(7) };
  const key = formatOldestKey(replica, merged);
  expect(key).toBe("db/eddy/oldest/1-0000000000000001-0000000000000007");
  const metadata = { [TIMESTAMP_METADATA]: "2025-01-01T00:00:03Z" };
  await store.put(key, new Uint8Array(1), { metadata });
  const oldestAtMs = Date.UTC(2025, 0, 1, 0, 0, 3);
  expect(await list(replica, { level: 1, withTimestamps: true })).toMatchObject([{ oldestAtMs }]);
  expect((await list(replica, { level: 9, withTimestamps: true }))[0]).not.toHaveProperty(
    "oldestAtMs",
  );
  // Where nobody asks for stamps, nothing more is listed.
  store.reset();
  expect((await list(replica, { level: 1 }))[0]).not.toHaveProperty("oldestAtMs");
  expect(store.lists).toBe(1);
});
