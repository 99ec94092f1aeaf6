/** Two looks at one replica's head that overlap. */
import { expect, test } from "vitest";
import { formatLtxKey } from "../../shared/replica/ltx-key.ts";
import { MemoryStore } from "../../shared/storage/memory-store.ts";
import type { ObjectStore } from "../../shared/storage/object-store.ts";
import { LIBRARY_LIMITS } from "../../worker/limits.ts";
import { Library } from "../../worker/replicas/library.ts";
import { putLtx, replicaIn, txid } from "../support/replica-fixtures.ts";

const NEXT = formatLtxKey(
  { path: "db", layout: "s3" },
  { level: 0, minTxid: txid(4), maxTxid: txid(4) },
);

/** The bucket, in which what `before` and `after` wait for comes before and after the read of a key. */
function slowly(store: ObjectStore, waits: { before?: Promise<void>; after?: Promise<void> }) {
  const slow: ObjectStore = {
    list: (options) => store.list(options),
    get: async (key, options) => {
      if (key === NEXT) await waits.before;
      const stored = await store.get(key, options);
      if (key === NEXT) await waits.after;
      return stored;
    },
    put: (key, body, options) => store.put(key, body, options),
    delete: (keys, options) => store.delete(keys, options),
  };
  return replicaIn(slow);
}

async function put(memory: MemoryStore, at: number): Promise<void> {
  await putLtx(memory, { level: 0, minTxid: at, maxTxid: at, commit: 1, pages: { 1: at } });
}

test("a look whose answer is late does not take back a newer one that was given meanwhile", async () => {
  const memory = new MemoryStore();
  for (const at of [1, 2, 3]) await put(memory, at);
  let nowMs = 1_000;
  const library = new Library({ limits: LIBRARY_LIMITS, now: () => nowMs });
  await library.head(replicaIn(memory), { maxStaleMs: 0 });
  const isWritten = Promise.withResolvers<void>();
  const isAnswered = Promise.withResolvers<void>();
  nowMs = 2_000;
  const early = library.head(slowly(memory, { before: isWritten.promise }), { maxStaleMs: 0 });
  nowMs = 2_001;
  const late = library.head(slowly(memory, { after: isAnswered.promise }), { maxStaleMs: 0 });
  // The look that began last has asked, found nothing new, and its answer is on its way.
  await put(memory, 4).then(isWritten.resolve);
  expect((await early).plan.txid).toBe(4n);
  isAnswered.resolve();
  expect((await late).plan.txid).toBe(4n);
  const trusting = { maxStaleMs: 60_000 };
  expect((await library.head(replicaIn(memory), trusting)).plan.txid).toBe(4n);
});

test("a TXID of a path that was begun anew is not answered from what was there before", async () => {
  const memory = new MemoryStore();
  for (const at of [1, 2]) await put(memory, at);
  const replica = replicaIn(memory);
  const library = new Library({ limits: LIBRARY_LIMITS, now: () => 1_000 });
  await library.head(replica, { maxStaleMs: 0 });
  const before = await library.openTxid(replica, txid(1), {});
  const { objects } = await memory.list({ prefix: "" });
  await memory.delete(objects.map(({ key }) => key));
  for (const at of [1, 2, 3]) {
    await putLtx(memory, { level: 0, minTxid: at, maxTxid: at, commit: 1, pages: { 1: 10 + at } });
  }
  expect((await library.head(replica, { maxStaleMs: 0 })).plan.txid).toBe(3n);
  const after = await library.openTxid(replica, txid(1), {});
  expect(after.identity).not.toBe(before.identity);
  const [file] = after.snapshot.files;
  expect(file.etag).toBe((await memory.get(file.key))?.etag);
});
