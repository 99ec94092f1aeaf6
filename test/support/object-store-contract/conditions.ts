import { expect, it } from "vitest";
import type { Etag } from "../../../shared/storage/object-store.ts";
import { type Context, bytesOf, textOf, patternBytes, streamOf } from "./context.ts";

export function describeConditions(context: Context): void {
  const refused = expect.objectContaining({ code: "STORE_CONFLICT" });

  it("creates only what is absent", async () => {
    const { store } = context();
    const { etag } = await store.put("k", bytesOf("mine"), { onlyIf: { absent: true } });
    await expect(store.put("k", bytesOf("yours"), { onlyIf: { absent: true } })).rejects.toThrow(
      refused,
    );
    const stream = streamOf(bytesOf("yours"));
    await expect(store.put("k", stream, { onlyIf: { absent: true } })).rejects.toThrow(refused);
    expect(await store.get("k")).toMatchObject({ etag, bytes: bytesOf("mine") });
  });

  it("lets one of ten create an object", async () => {
    const { store } = context();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, racer) =>
        store.put("k", bytesOf(`racer ${racer}`), { onlyIf: { absent: true } }),
      ),
    );
    const winner = outcomes.findIndex(({ status }) => status === "fulfilled");
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(textOf((await store.get("k"))?.bytes)).toBe(`racer ${winner}`);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") expect(outcome.reason).toEqual(refused);
    }
  });

  it("replaces only the content that was named", async () => {
    const { store } = context();
    const first = await store.put("k", bytesOf("1"));
    const second = await store.put("k", bytesOf("22"), { onlyIf: { etag: first.etag } });
    await expect(store.put("k", bytesOf("3"), { onlyIf: { etag: first.etag } })).rejects.toThrow(
      refused,
    );
    expect(await store.get("k")).toMatchObject({ etag: second.etag, bytes: bytesOf("22") });
    await expect(
      store.put("nothing", bytesOf("3"), { onlyIf: { etag: first.etag } }),
    ).rejects.toThrow(refused);
    expect(await store.get("nothing")).toBeUndefined();
  });

  it("lets one of ten replace the same content", async () => {
    const { store } = context();
    const { etag } = await store.put("k", bytesOf("first"));
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, racer) =>
        store.put("k", bytesOf(`racer ${racer}`), { onlyIf: { etag } }),
      ),
    );
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  it("creates a large streamed object only where there is none", async () => {
    const { store, options } = context();
    const large = () => streamOf(patternBytes(options.largeBytes));
    const { etag } = await store.put("k", large(), { onlyIf: { absent: true } });
    await expect(store.put("k", large(), { onlyIf: { absent: true } })).rejects.toThrow(refused);
    await expect(store.put("k", large(), { onlyIf: { etag: "0-other" as Etag } })).rejects.toThrow(
      refused,
    );
    expect((await store.get("k", { range: { suffix: 1 } }))?.etag).toBe(etag);
    expect((await store.put("k", large(), { onlyIf: { etag } })).sizeBytes).toBe(
      options.largeBytes,
    );
  });
}
