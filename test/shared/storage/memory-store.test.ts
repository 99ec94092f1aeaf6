import { expect, it } from "vitest";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { describeObjectStore } from "../../support/object-store-contract.ts";

describeObjectStore("memory", {
  open: async (options) => new MemoryStore(options),
  oddKeys: ["'()*!", "a b+c", "日本/😀", "%2F", "//", "a\u0001b"],
  metadata: { "litestream-timestamp": "2025-01-01T00:00:00Z", other: "x" },
  listsMetadata: true,
  largeBytes: 3_000_000,
  manyObjects: 2_500,
  cancelsInFlight: false,
});

it("takes the time of a write from the clock it was given", async () => {
  const store = new MemoryStore({ now: () => 1_234 });
  expect((await store.put("k", new Uint8Array(1))).uploadedAtMs).toBe(1_234);
});
