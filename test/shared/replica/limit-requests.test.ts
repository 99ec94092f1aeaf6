import { expect, test } from "vitest";
import { inTurns } from "../../../shared/replica/limit-requests.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { holdingStore } from "../../support/held-reads.ts";

test("what somebody waits for goes before what is read ahead, however long that has waited", async () => {
  const reads = holdingStore(new MemoryStore());
  const { soon, later } = inTurns(reads, 2);
  reads.isHolding = true;
  const all = [later.get("a"), later.get("b"), later.get("c"), soon.get("d"), soon.get("e")];
  const order = ["a", "b"];
  // Bounded by the reads: each pass lets the first of those in flight go.
  for (let read = 0; read < all.length; read++) {
    expect(reads.held.length).toBeLessThanOrEqual(2);
    for (const { key } of reads.held) if (!order.includes(key)) order.push(key);
    const { length } = reads.held;
    reads.held[0].release();
    await reads.waiting(Math.min(length, all.length - read - 1));
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  await Promise.all(all);
  expect(order).toEqual(["a", "b", "d", "e", "c"]);
});
