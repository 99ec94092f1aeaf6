import { describe, expect, it } from "vitest";
import { limitStore } from "../../../replicator/fleet/limit-store.ts";
import { slots } from "../../../shared/replica/limit-requests.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import type { ObjectStore } from "../../../shared/storage/object-store.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

/** A store in memory that notes how many requests of a kind were under way at most. */
function noting(most: { reads: number; uploads: number }): ObjectStore {
  const store = new MemoryStore();
  const now = { reads: 0, uploads: 0 };
  async function during<Result>(kind: "reads" | "uploads", work: () => Promise<Result>) {
    most[kind] = Math.max(most[kind], ++now[kind]);
    try {
      // A turn of the event loop, in which the others begin if they may.
      await new Promise((resolve) => setImmediate(resolve));
      return await work();
    } finally {
      now[kind]--;
    }
  }
  return {
    list: (options) => during("reads", () => store.list(options)),
    get: (key, options) => during("reads", () => store.get(key, options)),
    put: (key, body, options) => during("uploads", () => store.put(key, body, options)),
    delete: (keys, options) => store.delete(keys, options),
  };
}

describe("limitStore", () => {
  it("lets so many requests of all replicas together be under way, and no more", async () => {
    const most = { reads: 0, uploads: 0 };
    const store = noting(most);
    const limits = { reads: slots(3), uploads: slots(2) };
    const replicas = ["a", "b", "c"].map((path) => limitStore(replicaIn(store, path), limits));
    const body = new Uint8Array(8);
    await Promise.all(
      replicas.flatMap(({ store, path }) =>
        Array.from({ length: 5 }, (_, index) => store.put(`${path}/${index}`, body)),
      ),
    );
    await Promise.all(
      replicas.flatMap(({ store, path }) => [
        store.list({ prefix: `${path}/` }),
        ...Array.from({ length: 5 }, (_, index) => store.get(`${path}/${index}`)),
      ]),
    );
    expect(most).toEqual({ reads: 3, uploads: 2 });
  });

  it("lets an upload read what it is made of, however many there are", async () => {
    const store = noting({ reads: 0, uploads: 0 });
    const limits = { reads: slots(1), uploads: slots(1) };
    const { store: limited } = limitStore(replicaIn(store), limits);
    await limited.put("source", Uint8Array.of(1, 2, 3));
    async function* body() {
      const source = await limited.get("source");
      if (source) yield source.bytes;
    }
    await Promise.all([limited.put("one", body()), limited.put("two", body())]);
    expect((await limited.get("two"))?.bytes).toEqual(Uint8Array.of(1, 2, 3));
  });

  it("lets an upload confirm its lease before it is complete, when all places are taken", async () => {
    const memory = new MemoryStore();
    const partwise: ObjectStore = {
      ...noting({ reads: 0, uploads: 0 }),
      async put(key, body, options) {
        await options?.beforeComplete?.();
        return await memory.put(key, body, options);
      },
    };
    const limits = { reads: slots(1), uploads: slots(1) };
    const { store: limited } = limitStore(replicaIn(partwise), limits);
    const lease = Uint8Array.of(1);
    const beforeComplete = async () =>
      void (await limited.put("lock.json", lease, { mustBeAtomic: true }));
    await limited.put("large", Uint8Array.of(2), { beforeComplete });
    expect((await memory.get("lock.json"))?.bytes).toEqual(lease);
    expect((await memory.get("large"))?.bytes).toEqual(Uint8Array.of(2));
  });
});
