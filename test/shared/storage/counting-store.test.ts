import { expect, it } from "vitest";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { countingStore } from "../../support/counting-store.ts";

it("counts what is asked, how much comes, and how many trips wait for one another", async () => {
  const store = countingStore(new MemoryStore());
  await store.put("a", new Uint8Array(10));
  await store.put("b", new Uint8Array(20));
  store.reset();
  await store.list({ prefix: "" });
  // Four requests by two at a time: two trips deep after the listing.
  const queue = ["a", "b", "a", "none"].values();
  const work = async () => {
    for (const key of queue) await store.get(key, { range: { offset: 0, length: 15 } });
  };
  await Promise.all([work(), work()]);
  await store.delete(["a", "b"]);
  expect(store).toMatchObject({
    lists: 1,
    gets: 4,
    puts: 0,
    deletes: 1,
    bytesRead: 35,
    inFlightMax: 2,
    rounds: 4,
    keysRead: ["a", "b", "a", "none"],
  });
});
