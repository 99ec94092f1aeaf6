import { expect, it } from "vitest";
import { type Context, bytesOf, textOf, patternBytes, streamOf, listAll } from "./context.ts";

export function describeWriting(context: Context): void {
  it("replaces an object, and its ETag with it", async () => {
    const { store } = context();
    const first = await store.put("k", bytesOf("one"));
    const second = await store.put("k", bytesOf("other"));
    expect(second).toMatchObject({ key: "k", sizeBytes: 5 });
    expect(second.etag).not.toBe(first.etag);
    const stored = await store.get("k");
    expect(textOf(stored?.bytes)).toBe("other");
    expect(stored?.etag).toBe(second.etag);
  });

  it("keeps metadata, and forgets it with the object it came with", async () => {
    const { store, options } = context();
    await store.put("k", bytesOf("x"), { metadata: options.metadata });
    expect((await store.get("k"))?.metadata).toEqual(options.metadata);
    const nothing = { offset: 0, length: 0 };
    expect((await store.get("k", { range: nothing }))?.metadata).toEqual(options.metadata);
    await store.put("k", bytesOf("y"));
    expect((await store.get("k"))?.metadata).not.toEqual(options.metadata);
  });

  it("shows metadata in listings that ask for it, where it can", async () => {
    const { store, options } = context();
    await store.put("k", bytesOf("x"), { metadata: options.metadata });
    const [plain] = (await store.list({ prefix: "" })).objects;
    expect(plain.metadata).toBeUndefined();
    const [asked] = (await store.list({ prefix: "", withMetadata: true })).objects;
    expect(asked.metadata).toEqual(options.listsMetadata ? options.metadata : undefined);
  });

  it("stores a streamed body, whatever its pieces", async () => {
    const { store } = context();
    const info = await store.put(
      "k",
      streamOf(bytesOf("a"), new Uint8Array(0), bytesOf("bc"), bytesOf("def")),
    );
    expect(info.sizeBytes).toBe(6);
    expect(textOf((await store.get("k"))?.bytes)).toBe("abcdef");
    await store.put("k", streamOf());
    expect((await store.get("k"))?.totalBytes).toBe(0);
  });

  it("stores a large streamed body byte by byte as it came", async () => {
    const { store, options } = context();
    const whole = patternBytes(options.largeBytes);
    async function* chunks() {
      for (let offset = 0; offset < whole.length; offset += 1_000_003) {
        yield whole.slice(offset, offset + 1_000_003);
      }
    }
    const info = await store.put("large", chunks(), { metadata: options.metadata });
    const stored = await store.get("large");
    expect(info).toMatchObject({ sizeBytes: whole.length, etag: stored?.etag });
    expect(stored?.metadata).toEqual(options.metadata);
    // Compared by hand: a failing `toEqual` of millions of numbers takes minutes to print.
    expect(stored?.bytes.findIndex((byte, index) => byte !== whole[index])).toBe(-1);
    expect(stored?.bytes.length).toBe(whole.length);
  });

  it("leaves the old object when a streamed body fails", async () => {
    const { store } = context();
    await store.put("k", bytesOf("old"));
    await expect(store.put("k", failing())).rejects.toThrow("the source broke");
    expect(textOf((await store.get("k"))?.bytes)).toBe("old");
    expect((await listAll(store, "")).keys).toEqual(["k"]);
  });

  it("keeps apart keys that differ in their characters only", async () => {
    const { store, options } = context();
    const keys = ["plain.txt", "0000/notes.txt", "UPPER", "upper2", ...options.oddKeys];
    for (const key of keys) await store.put(key, bytesOf(key));
    for (const key of keys) expect(textOf((await store.get(key))?.bytes)).toBe(key);
    const listed = (await listAll(store, "")).keys;
    expect(listed.toSorted()).toEqual(keys.toSorted());
    await store.delete(keys);
    expect((await listAll(store, "")).keys).toEqual([]);
  });
}

async function* failing(): AsyncGenerator<Uint8Array> {
  yield bytesOf("half");
  throw new Error("the source broke");
}
