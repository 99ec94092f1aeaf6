/** What a restore asks of its store: how often, how much at a time, and how often it has to wait. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { restoreDatabase } from "../../../replicator/restore/restore-database.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import type { ObjectStore, StoredBytes } from "../../../shared/storage/object-store.ts";
import { countingStore } from "../../support/counting-store.ts";
import { historyOf, type PageHistory } from "../../support/page-history.ts";

const FILES = 300;
const MIB = 1024 * 1024;

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "eddy-restore-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A store whose reads take a turn of the event loop, and that tells how many bytes lie with the reader. */
function slowStore(store: ObjectStore) {
  const state = { bytesInFlight: 0, bytesInFlightMax: 0 };
  const get: ObjectStore["get"] = async (key, options) => {
    const range = options?.range;
    const bytes = range && "length" in range ? range.length : 0;
    state.bytesInFlight += bytes;
    state.bytesInFlightMax = Math.max(state.bytesInFlightMax, state.bytesInFlight);
    await new Promise((resolve) => setImmediate(resolve));
    const stored = await store.get(key, options);
    state.bytesInFlight -= bytes;
    return stored;
  };
  const slow: ObjectStore = {
    list: (options) => store.list(options),
    get,
    put: (key, body, options) => store.put(key, body, options),
    delete: (keys, options) => store.delete(keys, options),
  };
  return { slow, state };
}

function smallHistory(): PageHistory {
  const transactions = Array.from({ length: FILES }, (_, i) => ({
    commit: 4 + (i % 3),
    changed: [1, 1 + (i % 4)],
  }));
  return historyOf(transactions);
}

async function replicate(history: PageHistory): Promise<MemoryStore> {
  const memory = new MemoryStore();
  const replica: Replica = { store: memory, path: "db", layout: "s3" };
  for (let txid = 1; txid <= history.head; txid++) await history.put(replica, 0, txid);
  return memory;
}

async function restore(store: ObjectStore, parallelism?: number): Promise<Buffer> {
  const output = join(folder, "restored.db");
  await restoreDatabase(
    { store, path: "db", layout: "s3" },
    { output, target: { kind: "latest" }, integrityCheck: "none", force: true, parallelism },
  );
  return readFileSync(output);
}

describe("a restore from 300 small files", () => {
  it.each([
    ["16 at a time when nothing is said", undefined, 16],
    ["so many at a time as it is told", 4, 4],
    ["one after the other when it is told so", 1, 1],
  ])("reads them %s, each in one request, after one LIST", async (_name, parallelism, atOnce) => {
    const history = smallHistory();
    const store = countingStore(slowStore(await replicate(history)).slow);
    const restored = await restore(store, parallelism);
    expect(restored.equals(history.image(FILES))).toBe(true);
    expect({ lists: store.lists, gets: store.gets }).toEqual({ lists: 1, gets: FILES });
    expect(store.inFlightMax).toBe(atOnce);
    // One round for the LIST, and as many as it takes to read all of them.
    expect(store.rounds).toBe(1 + Math.ceil(FILES / atOnce));
  });

  it("writes the newest version of a page last, whatever the order of the answers", async () => {
    const history = smallHistory();
    const memory = await replicate(history);
    let asked = 0;
    const unordered: ObjectStore = {
      list: (options) => memory.list(options),
      async get(key, options): Promise<StoredBytes | undefined> {
        // Of each four the last one is answered first.
        const turns = 4 - (asked++ % 4);
        for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
        return memory.get(key, options);
      },
      put: (key, body, options) => memory.put(key, body, options),
      delete: (keys, options) => memory.delete(keys, options),
    };
    expect((await restore(unordered)).equals(history.image(FILES))).toBe(true);
  });

  it("plans anew when a file goes while others are read, and ends what is under way", async () => {
    const history = smallHistory();
    const memory = await replicate(history);
    const replica: Replica = { store: memory, path: "db", layout: "s3" };
    const gone = "db/0000/0000000000000096-0000000000000096.ltx";
    let isGone = false;
    const store = countingStore({
      list: (options) => memory.list(options),
      async get(key, options) {
        if (key === gone && !isGone) {
          isGone = true;
          // A compaction replaced the first 200 files.
          await history.put(replica, 1, 1, 200);
          await memory.delete([gone]);
        }
        return memory.get(key, options);
      },
      put: (key, body, options) => memory.put(key, body, options),
      delete: (keys, options) => memory.delete(keys, options),
    });
    expect((await restore(store)).equals(history.image(FILES))).toBe(true);
    expect(isGone).toBe(true);
    expect(store.lists).toBe(2);
  });
});

describe("a restore from one large file", () => {
  it("reads ranges side by side, and never has more than 8 MiB under way", async () => {
    const history = historyOf([{ commit: 6_000 }], { pageSize: 4_096, kind: "noise" });
    const memory = await replicate(history);
    const { slow, state } = slowStore(memory);
    const store = countingStore(slow);
    expect((await restore(store)).equals(history.image(1))).toBe(true);
    const [{ sizeBytes }] = (await memory.list({ prefix: "db/" })).objects;
    expect(sizeBytes).toBeGreaterThan(20 * MIB);
    expect(store.gets).toBe(Math.ceil(sizeBytes / (2 * MIB)));
    expect(store.inFlightMax).toBe(4);
    expect(state.bytesInFlightMax).toBe(8 * MIB);
  });
});
