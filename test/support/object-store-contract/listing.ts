import { expect, it } from "vitest";
import { type Context, bytesOf, listAll } from "./context.ts";

export function describeListing(context: Context): void {
  it("lists nothing in an empty store, and nothing where no key fits", async () => {
    const { store } = context();
    expect(await store.list({ prefix: "" })).toEqual({ objects: [] });
    await store.put("a/b", bytesOf("x"));
    expect((await store.list({ prefix: "a/c" })).objects).toEqual([]);
    expect((await store.list({ prefix: "b/" })).objects).toEqual([]);
  });

  it("tells of each object what `put` and `get` tell", async () => {
    const { store } = context();
    const info = await store.put("a/b", bytesOf("four"));
    const [listed] = (await store.list({ prefix: "a/" })).objects;
    expect(listed).toMatchObject({ key: "a/b", sizeBytes: 4, etag: info.etag });
    expect((await store.get("a/b"))?.etag).toBe(info.etag);
  });

  it("lists by prefix, which need not be a folder", async () => {
    const { store } = context();
    for (const key of ["a", "ab/x", "ab/y/z", "abc", "b"]) await store.put(key, bytesOf(key));
    expect((await listAll(store, "")).keys).toEqual(["a", "ab/x", "ab/y/z", "abc", "b"]);
    expect((await listAll(store, "a")).keys).toEqual(["a", "ab/x", "ab/y/z", "abc"]);
    expect((await listAll(store, "ab")).keys).toEqual(["ab/x", "ab/y/z", "abc"]);
    expect((await listAll(store, "ab/")).keys).toEqual(["ab/x", "ab/y/z"]);
    expect((await listAll(store, "ab/y")).keys).toEqual(["ab/y/z"]);
  });

  it("lists keys in the order of their bytes, whatever the size of its pages", async () => {
    const { options } = context();
    const keys = ["A", "a-", "a.b", "a/b", "a/b-c", "a0", "b", "z", "~", "é", "\uFF5E", "😀"];
    for (const pageSize of [1, 3, 1_000]) {
      const store = await options.open({ pageSize });
      for (const key of keys.toReversed()) await store.put(key, bytesOf(key));
      expect((await listAll(store, "")).keys).toEqual(keys);
    }
  });

  it("gives pages of one object", async () => {
    const { options } = context();
    const store = await options.open({ pageSize: 1 });
    const keys = ["p/1", "p/2", "p/3"];
    for (const key of [...keys, "q/4"]) await store.put(key, bytesOf(key));
    const first = await store.list({ prefix: "p/" });
    expect(first.objects.map(({ key }) => key)).toEqual(["p/1"]);
    expect(first.cursor).toBeDefined();
    const { keys: listed, pages } = await listAll(store, "p/");
    expect(listed).toEqual(keys);
    // Some stores know that nothing follows the last object, others find an empty page.
    expect([3, 4]).toContain(pages);
  });

  it("answers a cursor as often as it is given", async () => {
    const { options } = context();
    const store = await options.open({ pageSize: 2 });
    for (const key of ["1", "2", "3", "4", "5"]) await store.put(key, bytesOf(key));
    const { cursor } = await store.list({ prefix: "" });
    const again = async () =>
      (await store.list({ prefix: "", cursor })).objects.map(({ key }) => key);
    expect(await Promise.all([again(), again()])).toEqual([
      ["3", "4"],
      ["3", "4"],
    ]);
    expect(await again()).toEqual(["3", "4"]);
  });

  it("starts after a key, whether it is there or not", async () => {
    const { options } = context();
    const store = await options.open({ pageSize: 2 });
    const keys = ["d/1", "d/2-x", "d/2/x", "d/2/y", "d/3", "d/4", "e"];
    for (const key of keys) await store.put(key, bytesOf(key));
    expect((await listAll(store, "d/", "d/2")).keys).toEqual(keys.slice(1, -1));
    expect((await listAll(store, "d/", "d/1")).keys).toEqual(keys.slice(1, -1));
    expect((await listAll(store, "d/", "d/25")).keys).toEqual(["d/3", "d/4"]);
    expect((await listAll(store, "d/", "d/2/x")).keys).toEqual(["d/2/y", "d/3", "d/4"]);
    expect((await listAll(store, "d/", "a")).keys).toEqual(keys.slice(0, -1));
    expect((await listAll(store, "d/", "z")).keys).toEqual([]);
  });

  it("lists more objects than one page holds", async () => {
    const { store, options } = context();
    const keys = Array.from(
      { length: options.manyObjects },
      (_, index) => `many/${String(index).padStart(6, "0")}`,
    );
    const queue = keys.values();
    const work = async () => {
      for (const key of queue) await store.put(key, new Uint8Array(1));
    };
    await Promise.all([work(), work(), work(), work()]);
    expect((await listAll(store, "many/")).keys).toEqual(keys);
    await store.delete(keys);
    expect((await listAll(store, "many/")).keys).toEqual([]);
  });
}
