import { expect, it } from "vitest";
import { type Context, bytesOf, textOf, listAll } from "./context.ts";

export function describeDeleting(context: Context): void {
  it("deletes what is there and does not mind what is not", async () => {
    const { store } = context();
    for (const key of ["a", "b", "c"]) await store.put(key, bytesOf(key));
    await store.delete(["a", "nothing", "c"]);
    expect((await listAll(store, "")).keys).toEqual(["b"]);
    await store.delete(["nothing"]);
    await store.delete([]);
    expect((await listAll(store, "")).keys).toEqual(["b"]);
  });

  it("lets a deleted key be created again", async () => {
    const { store } = context();
    await store.put("k", bytesOf("old"));
    await store.delete(["k"]);
    await store.put("k", bytesOf("new"), { onlyIf: { absent: true } });
    expect(textOf((await store.get("k"))?.bytes)).toBe("new");
  });
}
