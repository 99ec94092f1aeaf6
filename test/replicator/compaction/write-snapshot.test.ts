import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeSnapshot, type OpenSnapshot } from "../../../replicator/compaction/write-snapshot.ts";
import { ReplicaError } from "../../../shared/errors.ts";
import type { LtxSummary } from "../../../shared/ltx/decoder.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { historyOf } from "../../support/page-history.ts";
import { replicaIn, txid } from "../../support/replica-fixtures.ts";

const never = new AbortController().signal;
const KEY = "db/0009/0000000000000001-0000000000000003.ltx";
const history = historyOf([{ commit: 20 }, { commit: 25, changed: [1, 3] }, { commit: 9 }]);

let folder: string;
let store: MemoryStore;
let isOpen: boolean;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "eddy-snapshot-"));
  store = new MemoryStore();
  isOpen = false;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The database after the third transaction, in pieces. */
function open(bytes = history.file(1, 3)): OpenSnapshot {
  function* pieces(): Generator<Uint8Array, LtxSummary> {
    for (let offset = 0; offset < bytes.length; offset += 700) {
      yield bytes.subarray(offset, offset + 700);
    }
    // Nobody asks for it: the file is decoded instead.
    return undefined as unknown as LtxSummary;
  }
  isOpen = true;
  return { txid: txid(3), pieces: pieces(), [Symbol.dispose]: () => void (isOpen = false) };
}

const options = {
  get replica() {
    return replicaIn(store);
  },
  get folder() {
    return folder;
  },
  open: async () => open(),
  whenUploaded: async () => undefined,
  signal: never,
};

describe("writeSnapshot", () => {
  it("puts the whole database into level 9, stamped with its newest transaction", async () => {
    const written = await writeSnapshot({ ...options });
    expect(written).toMatchObject({ key: KEY, level: 9, minTxid: 1n, maxTxid: 3n });
    const { bytes, metadata } = (await store.get(KEY))!;
    expect(Buffer.compare(bytes, history.file(1, 3))).toBe(0);
    expect(metadata).toEqual({ "litestream-timestamp": "1970-01-01T00:00:03.000Z" });
    expect(isOpen).toBe(false);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("is not stored before the store has its TXID, for which the log need not wait", async () => {
    const uploaded = Promise.withResolvers<undefined>();
    const asked = Promise.withResolvers<bigint>();
    const writing = writeSnapshot({
      ...options,
      whenUploaded: async (newest) => {
        asked.resolve(newest);
        await uploaded.promise;
      },
    });
    expect(await asked.promise).toBe(3n);
    await expect.poll(() => isOpen).toBe(false);
    expect(await store.get(KEY)).toBeUndefined();
    uploaded.resolve(undefined);
    await writing;
    expect(await store.get(KEY)).toBeDefined();
  });

  it("is not stored when its TXID is given to something else meanwhile", async () => {
    const other = new ReplicaError("LOCAL_FILE", "that TXID is of another history now");
    const writing = writeSnapshot({ ...options, whenUploaded: () => Promise.reject(other) });
    await expect(writing).rejects.toBe(other);
    expect(isOpen).toBe(false);
    expect(await store.get(KEY)).toBeUndefined();
    expect(readdirSync(folder)).toEqual([]);
  });

  it("is not stored when it does not decode", async () => {
    const bytes = history.file(1, 3);
    bytes[bytes.length - 30] ^= 1;
    const writing = writeSnapshot({ ...options, open: async () => open(bytes) });
    await expect(writing).rejects.toMatchObject({ code: "CORRUPT_PAGE" });
    expect(await store.get(KEY)).toBeUndefined();
    expect(readdirSync(folder)).toEqual([]);
  });

  it("says so where its folder takes no file, and lets the log go", async () => {
    rmSync(folder, { recursive: true });
    writeFileSync(folder, "a file");
    await expect(writeSnapshot({ ...options })).rejects.toMatchObject({
      code: "LOCAL_FILE",
      message: expect.stringContaining(folder),
    });
    expect(isOpen).toBe(false);
  });

  it("leaves room on the disk for what is captured meanwhile", async () => {
    const writing = writeSnapshot({ ...options, reserveBytes: Number.MAX_SAFE_INTEGER });
    await expect(writing).rejects.toMatchObject({
      code: "LOCAL_FILE",
      message: expect.stringContaining("too little room"),
    });
    expect(isOpen).toBe(false);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("ends when its signal fires", async () => {
    const signal = AbortSignal.abort();
    await expect(writeSnapshot({ ...options, signal })).rejects.toMatchObject({ code: "ABORTED" });
    expect(isOpen).toBe(false);
    expect(await store.get(KEY)).toBeUndefined();
  });
});
