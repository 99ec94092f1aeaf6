import { describe, expect, it } from "vitest";
import { meteredStore, type StoreOperation } from "../../../replicator/metrics/metered-store.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { describeObjectStore } from "../../support/object-store-contract.ts";

describeObjectStore("a metered store", {
  open: async (options) =>
    meteredStore(new MemoryStore(options), { now: () => 0, onOperation: () => undefined }),
  oddKeys: ["a b+c"],
  metadata: { "litestream-timestamp": "2025-01-01T00:00:00Z", other: "x" },
  listsMetadata: true,
  largeBytes: 3_000_000,
  manyObjects: 25,
  cancelsInFlight: false,
});

function metered() {
  const operations: StoreOperation[] = [];
  let nowMs = 0;
  const store = meteredStore(new MemoryStore(), {
    now: () => (nowMs += 5),
    onOperation: (operation) => operations.push(operation),
  });
  return { store, operations };
}

describe("a metered store", () => {
  it("reports each call with its kind, its time and its bytes", async () => {
    const { store, operations } = metered();
    await store.put("a", Buffer.from("hello"));
    await store.put("b", streamOf("hel", "lo, world"));
    await store.get("a");
    await store.get("none");
    await store.list({ prefix: "" });
    await store.delete(["a", "b"]);
    expect(operations.map(({ kind, bytes, errorCode }) => [kind, bytes, errorCode])).toEqual([
      ["put", 5, undefined],
      ["put", 12, undefined],
      ["get", 5, undefined],
      ["get", 0, undefined],
      ["list", 0, undefined],
      ["delete", 0, undefined],
    ]);
    expect(operations.every(({ durationMs }) => durationMs === 5)).toBe(true);
  });

  it("reports a failure by its code, and throws it on", async () => {
    const { store, operations } = metered();
    await store.put("a", Buffer.from("one"));
    const twice = store.put("a", Buffer.from("two"), { onlyIf: { absent: true } });
    await expect(twice).rejects.toMatchObject({ code: "STORE_CONFLICT" });
    const broken = store.put("b", brokenStream());
    await expect(broken).rejects.toThrow("the disk is gone");
    expect(operations.slice(1).map(({ bytes, errorCode }) => [bytes, errorCode])).toEqual([
      [3, "STORE_CONFLICT"],
      [3, "UNEXPECTED"],
    ]);
  });
});

async function* streamOf(...chunks: string[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

async function* brokenStream(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("abc");
  throw new Error("the disk is gone");
}
