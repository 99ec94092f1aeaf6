import { expect, it } from "vitest";
import { type Context, bytesOf, textOf } from "./context.ts";

export function describeReading(context: Context): void {
  it("answers undefined for a key that is not there", async () => {
    const { store } = context();
    await store.put("ab/x", bytesOf("x"));
    expect(await store.get("nothing")).toBeUndefined();
    expect(await store.get("ab")).toBeUndefined();
    expect(await store.get("nothing", { range: { offset: 5, length: 5 } })).toBeUndefined();
    expect(await store.get("nothing", { range: { offset: 5, length: 0 } })).toBeUndefined();
  });

  it.each([
    ["the whole", undefined, "0123456789"],
    ["a piece", { offset: 3, length: 4 }, "3456"],
    ["the first byte", { offset: 0, length: 1 }, "0"],
    ["more than is left", { offset: 8, length: 100 }, "89"],
    ["nothing beyond the end", { offset: 10, length: 5 }, ""],
    ["nothing far beyond the end", { offset: 1_000, length: 5 }, ""],
    ["nothing where nothing is asked for", { offset: 3, length: 0 }, ""],
    ["the end", { suffix: 3 }, "789"],
    ["the whole as an end longer than it", { suffix: 100 }, "0123456789"],
    ["nothing of the end", { suffix: 0 }, ""],
  ])("reads %s", async (_name, range, expected) => {
    const { store } = context();
    const { etag } = await store.put("digits", bytesOf("0123456789"));
    const stored = await store.get("digits", { range });
    expect(textOf(stored?.bytes)).toBe(expected);
    expect(stored).toMatchObject({ totalBytes: 10, etag });
  });

  it.each([
    ["no range", undefined],
    ["a range", { offset: 0, length: 100 }],
    ["an end", { suffix: 100 }],
  ])("reads an empty object by %s", async (_name, range) => {
    const { store } = context();
    await store.put("empty", new Uint8Array(0));
    const stored = await store.get("empty", { range });
    expect(stored).toMatchObject({ totalBytes: 0, bytes: new Uint8Array(0) });
  });

  it("gives bytes that are the caller's own", async () => {
    const { store } = context();
    const given = bytesOf("as written");
    await store.put("own", given);
    given.fill(0);
    (await store.get("own"))?.bytes.fill(0);
    expect(textOf((await store.get("own"))?.bytes)).toBe("as written");
  });

  it("answers only the content that was asked for", async () => {
    const { store } = context();
    const { etag } = await store.put("k", bytesOf("old"));
    expect(textOf((await store.get("k", { ifMatch: etag }))?.bytes)).toBe("old");
    await store.put("k", bytesOf("newer"));
    const refused = expect.objectContaining({ code: "STORE_CONFLICT" });
    await expect(store.get("k", { ifMatch: etag })).rejects.toThrow(refused);
    const range = { offset: 0, length: 2 };
    await expect(store.get("k", { ifMatch: etag, range })).rejects.toThrow(refused);
    const nothing = { offset: 0, length: 0 };
    await expect(store.get("k", { ifMatch: etag, range: nothing })).rejects.toThrow(refused);
    expect(await store.get("nothing", { ifMatch: etag })).toBeUndefined();
  });
}
