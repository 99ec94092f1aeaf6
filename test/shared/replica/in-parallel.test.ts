import { expect, test } from "vitest";
import { inParallel } from "../../../shared/replica/in-parallel.ts";

interface Work {
  readonly run: (item: number) => Promise<string>;
  /** Items that were begun, in order. */
  readonly begun: number[];
  readonly inFlightMax: () => number;
}

/** Work that takes as many turns as its item says, and fails for the items that it is told. */
function work(failing: readonly number[] = []): Work {
  const begun: number[] = [];
  let inFlight = 0;
  let most = 0;
  const run = async (item: number) => {
    begun.push(item);
    most = Math.max(most, ++inFlight);
    for (let turn = 0; turn < item; turn++) await Promise.resolve();
    inFlight--;
    if (failing.includes(item)) throw new Error(`item ${item}`);
    return `done ${item}`;
  };
  return { run, begun, inFlightMax: () => most };
}

test("results come in the order of the items, however long each takes", async () => {
  const { run, inFlightMax } = work();
  expect(await inParallel([9, 1, 5, 2], 3, run)).toEqual(["done 9", "done 1", "done 5", "done 2"]);
  expect(inFlightMax()).toBe(3);
});

test("nothing to do is done", async () => {
  expect(await inParallel([], 3, work().run)).toEqual([]);
});

test("after a failure nothing further is begun, and what was begun is waited for", async () => {
  const { run, begun } = work([2]);
  let hasEnded = false;
  const long = async (item: number) => {
    const result = await run(item);
    if (item === 50) hasEnded = true;
    return result;
  };
  await expect(inParallel([50, 2, 3, 4, 5, 6], 2, long)).rejects.toThrow("item 2");
  expect(begun).toEqual([50, 2]);
  expect(hasEnded).toBe(true);
});

test("of several failures the first one counts", async () => {
  await expect(inParallel([9, 3, 6], 3, work([9, 3, 6]).run)).rejects.toThrow("item 3");
});
