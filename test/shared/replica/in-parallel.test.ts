import { describe, expect, test } from "vitest";
import { inParallel } from "../../../shared/replica/in-parallel.ts";
import { limitRequests, slots } from "../../../shared/replica/limit-requests.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { countingStore } from "../../support/counting-store.ts";

/** Work that ends when the test says so. */
class Workshop {
  readonly begun: number[] = [];
  readonly #ends = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();

  readonly work = async (item: number): Promise<string> => {
    this.begun.push(item);
    await new Promise<void>((resolve, reject) => this.#ends.set(item, { resolve, reject }));
    return `result ${item}`;
  };

  async end(item: number): Promise<void> {
    this.#ends.get(item)?.resolve();
    await settle();
  }

  async fail(item: number): Promise<void> {
    this.#ends.get(item)?.reject(new Error(`failure ${item}`));
    await settle();
  }
}

/** Lets everything run that waits for nothing but itself. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

describe("inParallel", () => {
  test("begins as many as it may, and gives the results in the items' order", async () => {
    const shop = new Workshop();
    const results = inParallel([1, 2, 3, 4], 2, shop.work);
    expect(shop.begun).toEqual([1, 2]);
    await shop.end(2);
    expect(shop.begun).toEqual([1, 2, 3]);
    for (const item of [3, 4, 1]) await shop.end(item);
    expect(await results).toEqual(["result 1", "result 2", "result 3", "result 4"]);
  });

  test("after a failure begins no other, and throws only when what was begun has ended", async () => {
    const shop = new Workshop();
    let outcome: unknown;
    void inParallel([1, 2, 3, 4], 2, shop.work).catch((error: unknown) => (outcome = error));
    await shop.fail(2);
    expect({ begun: shop.begun, outcome }).toEqual({ begun: [1, 2], outcome: undefined });
    await shop.end(1);
    expect(shop.begun).toEqual([1, 2]);
    expect(outcome).toEqual(new Error("failure 2"));
  });

  test("of several failures throws the first", async () => {
    const shop = new Workshop();
    const results = inParallel([1, 2], 2, shop.work);
    await shop.fail(2);
    await shop.fail(1);
    await expect(results).rejects.toThrow("failure 2");
  });

  test("of nothing makes nothing", async () => {
    expect(await inParallel([], 6, new Workshop().work)).toEqual([]);
  });
});

describe("slots", () => {
  test("those who wait come in the order in which they asked, and none is let in twice", async () => {
    const shop = new Workshop();
    const inTurn = slots(2);
    const results = [1, 2, 3, 4].map((item) => inTurn(() => shop.work(item)));
    await settle();
    expect(shop.begun).toEqual([1, 2]);
    await shop.end(2);
    // Who asks now does so behind the one that waits already.
    results.push(inTurn(() => shop.work(5)));
    await shop.end(3);
    expect(shop.begun).toEqual([1, 2, 3, 4]);
    for (const item of [1, 4, 5]) await shop.end(item);
    expect(await Promise.all(results)).toHaveLength(5);
  });

  test("a failure frees its place", async () => {
    const shop = new Workshop();
    const inTurn = slots(1);
    const failing = inTurn(() => shop.work(1));
    const next = inTurn(() => shop.work(2));
    await settle();
    await shop.fail(1);
    await expect(failing).rejects.toThrow("failure 1");
    await shop.end(2);
    expect(await next).toBe("result 2");
  });
});

test("a limited store answers as its store does, a few reads at a time", async () => {
  const counting = countingStore(new MemoryStore());
  const store = limitRequests(counting, 3);
  for (let n = 0; n < 9; n++) await store.put(`${n}`, Uint8Array.of(n));
  const reads = Array.from({ length: 9 }, (_, n) => store.get(`${n}`));
  const listed = store.list({ prefix: "" });
  expect((await Promise.all(reads)).map((stored) => stored?.bytes[0])).toEqual(
    Array.from({ length: 9 }, (_, n) => n),
  );
  expect((await listed).objects).toHaveLength(9);
  expect(counting.inFlightMax).toBe(3);
  await store.delete(["4"]);
  expect(await store.get("4")).toBeUndefined();
});
