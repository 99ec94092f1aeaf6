import { expect, it } from "vitest";
import { type Context, bytesOf, textOf, streamOf, listAll } from "./context.ts";

const aborted = expect.objectContaining({ code: "ABORTED" });

export function describeCancelling(context: Context): void {
  it("does nothing when the signal has fired already", async () => {
    const { store } = context();
    await store.put("k", bytesOf("old"));
    const signal = AbortSignal.abort();
    await expect(store.list({ prefix: "", signal })).rejects.toThrow(aborted);
    await expect(store.get("k", { signal })).rejects.toThrow(aborted);
    await expect(store.put("k", bytesOf("new"), { signal })).rejects.toThrow(aborted);
    await expect(store.put("k", streamOf(bytesOf("new")), { signal })).rejects.toThrow(aborted);
    await expect(store.delete(["k"], { signal })).rejects.toThrow(aborted);
    expect(textOf((await store.get("k"))?.bytes)).toBe("old");
  });

  it("ends a streamed write when the signal fires, and leaves nothing of it", async () => {
    const { store, options } = context();
    const controller = new AbortController();
    let closed = false;
    async function* chunks() {
      try {
        for (let bytes = 0; bytes < options.largeBytes; bytes += 1_000_000) {
          yield new Uint8Array(1_000_000);
          if (bytes >= options.largeBytes / 2) controller.abort();
        }
      } finally {
        closed = true;
      }
    }
    const writing = store.put("k", chunks(), { signal: controller.signal });
    await expect(writing).rejects.toThrow(aborted);
    expect(closed).toBe(true);
    expect(await store.get("k")).toBeUndefined();
    expect((await listAll(store, "")).keys).toEqual([]);
  });
}

/** For a store whose calls can be interrupted: one that is reached by HTTP. */
export function describeInterrupting(context: Context): void {
  it("ends requests in flight", async () => {
    const { store } = context();
    await store.put("k", new Uint8Array(4_000_000));
    const controller = new AbortController();
    const { signal } = controller;
    const requests = [
      store.get("k", { signal }),
      store.list({ prefix: "", signal }),
      store.put("other", new Uint8Array(4_000_000), { signal }),
    ];
    controller.abort();
    const outcomes = await Promise.allSettled(requests);
    expect(outcomes).toEqual(requests.map(() => ({ status: "rejected", reason: aborted })));
  });
}
