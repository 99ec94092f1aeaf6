/** What all requests of an isolate together may have under way, so that they fit into it. */
import { describe, expect, test } from "vitest";
import { PageCache } from "../../shared/replica/page-cache.ts";
import { PageReader } from "../../shared/replica/page-reader.ts";
import { openSnapshot } from "../../shared/replica/snapshot.ts";
import { MemoryStore } from "../../shared/storage/memory-store.ts";
import type { ObjectStore } from "../../shared/storage/object-store.ts";
import { MeteredStore } from "../../worker/replicas/metered-store.ts";
import { ReadBudget } from "../../worker/replicas/read-budget.ts";
import { historyOf } from "../support/page-history.ts";
import { replicaIn } from "../support/replica-fixtures.ts";

const MEGABYTE = 1_000_000;

/** A bucket whose reads wait until they are let go. */
function heldStore() {
  const memory = new MemoryStore();
  const held: PromiseWithResolvers<void>[] = [];
  const store: ObjectStore = {
    list: (options) => memory.list(options),
    get: async (key, options) => {
      const gate = Promise.withResolvers<void>();
      held.push(gate);
      await gate.promise;
      return memory.get(key, options);
    },
    put: (key, body, options) => memory.put(key, body, options),
    delete: (keys, options) => memory.delete(keys, options),
  };
  return { memory, store, held };
}

function nowMs(): number {
  return 0;
}

describe("the reads of all requests", () => {
  test("ten requests of six megabytes each have sixteen of them under way at a time", async () => {
    const { memory, store, held } = heldStore();
    await memory.put("a", new Uint8Array(MEGABYTE));
    const budget = new ReadBudget({ bytesMax: 16 * MEGABYTE, now: nowMs });
    const range = { offset: 0, length: MEGABYTE };
    const reads = Array.from({ length: 10 }, () => new MeteredStore(store, budget)).flatMap(
      (meter) => Array.from({ length: 6 }, () => meter.get("a", { range })),
    );
    let mostHeld = 0;
    // Bounded by the reads: each pass lets those go that have arrived.
    for (let answered = 0; answered < reads.length;) {
      answered += held.length;
      mostHeld = Math.max(mostHeld, held.length);
      for (const gate of held.splice(0)) gate.resolve();
      await new Promise((resolve) => {
        setTimeout(resolve, 0);
      });
    }
    expect(await Promise.all(reads)).toHaveLength(60);
    expect(mostHeld).toBe(16);
    expect(budget.bytesHighest).toBe(16 * MEGABYTE);
    expect(budget.bytes).toBe(0);
  });

  test("of a request that has ended take nothing any more, as soon as its reader is closed", async () => {
    const { memory, store, held } = heldStore();
    const history = historyOf([{ commit: 500 }], { kind: "noise", pageSize: 1_024 });
    await history.put(replicaIn(memory), 9, 1);
    const budget = new ReadBudget({ bytesMax: 16 * MEGABYTE, now: nowMs });
    const cache = new PageCache({ bytesMax: 10 * MEGABYTE });
    const snapshot = await openSnapshot(replicaIn(memory), { kind: "latest" });
    const replica = replicaIn(new MeteredStore(store, budget));
    const reader = new PageReader({ ...snapshot, replica }, { cache });
    const loads = [200, 300, 400].map((pgno) => reader.load(pgno));
    // Bounded by the test's own time: they are on their way.
    while (held.length < 3) await Promise.resolve();
    expect(budget.bytes).toBeGreaterThan(3 * 1_024);
    reader.close();
    expect(budget.bytes).toBe(0);
    for (const gate of held) gate.resolve();
    for (const load of loads) await expect(load).rejects.toMatchObject({ code: "ABORTED" });
    expect(budget.bytes).toBe(0);
  });

  test("one that is larger than all that is allowed goes alone", async () => {
    const budget = new ReadBudget({ bytesMax: 10, now: nowMs });
    const large = await budget.begin(20, undefined);
    let isLetIn = false;
    const small = budget.begin(1, undefined).then((reading) => {
      isLetIn = true;
      return reading;
    });
    await Promise.resolve();
    expect(isLetIn).toBe(false);
    budget.end(large);
    budget.end(await small);
    expect(budget.bytes).toBe(0);
  });

  test("one that failed makes room", async () => {
    const budget = new ReadBudget({ bytesMax: 10, now: nowMs });
    const broken = { ...heldStore().store, get: () => Promise.reject(new Error("no answer")) };
    await expect(new MeteredStore(broken, budget).get("a")).rejects.toThrow("no answer");
    expect(budget.bytes).toBe(0);
  });

  test("one whose request is gone makes room after five seconds, and a cancelled one waits no longer", async () => {
    let clockMs = 0;
    const budget = new ReadBudget({ bytesMax: 10, now: () => clockMs });
    await budget.begin(10, undefined);
    const controller = new AbortController();
    const cancelled = budget.begin(1, controller.signal);
    controller.abort();
    await expect(cancelled).rejects.toMatchObject({ code: "ABORTED" });
    const patient = budget.begin(1, undefined);
    clockMs = 5_001;
    await patient;
    expect(budget.bytes).toBe(1);
  });

  test("one whose client leaves makes room at once", async () => {
    const budget = new ReadBudget({ bytesMax: 10, now: () => 0 });
    const controller = new AbortController();
    await budget.begin(10, controller.signal);
    controller.abort();
    expect(budget.bytes).toBe(0);
  });
});
