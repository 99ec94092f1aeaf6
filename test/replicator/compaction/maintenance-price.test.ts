import { beforeEach, describe, expect, it } from "vitest";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { countingStore, type CountingStore } from "../../support/counting-store.ts";
import { MaintenanceFixture } from "../../support/maintenance-fixture.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let clock: { nowMs: number };
let store: CountingStore;
let replica: Replica;
beforeEach(() => {
  clock = { nowMs: Date.UTC(2026, 10, 26) };
  store = countingStore(new MemoryStore({ now: () => clock.nowMs }));
  replica = replicaIn(store);
});

const start = () => MaintenanceFixture.start(replica, clock);

const requests = ({ lists, gets, puts, deletes }: CountingStore) => lists + gets + puts + deletes;

describe("the price of levels, snapshots and retention", () => {
  it("of a quiet database is nothing", async () => {
    using fixture = await start();
    await fixture.commit(20);
    await fixture.pass(49 * HOUR);
    store.reset();
    await fixture.pass(100 * HOUR);
    expect(requests(store)).toBe(0);
  });

  it("of a start of a quiet database is a few listings, once", async () => {
    using fixture = await start();
    await fixture.commit(20);
    await fixture.pass(49 * HOUR);
    fixture.restart();
    store.reset();
    await fixture.pass(HOUR);
    expect(requests(store)).toBeLessThanOrEqual(20);
    store.reset();
    await fixture.pass(100 * HOUR);
    expect(requests(store)).toBe(0);
  });

  it("of twenty minutes of steady writing is a few requests for each file of level 1", async () => {
    using fixture = await start();
    await fixture.commit(5);
    await fixture.pass(10 * MINUTE);
    store.reset();
    for (let round = 0; round < 40; round++) {
      await fixture.commit(5);
      await fixture.pass(25_000);
    }
    const { lists, gets, puts, deletes } = store;
    const uploads = 200;
    // Each file of level 1: a listing of level 0, the PUT and the look whether it is there, and later the read
    // for level 2; for its retention a look whether it is there, a deletion and a listing of level 0.
    expect({ gets, deletes, puts: puts - uploads }).toEqual({ gets: 115, deletes: 30, puts: 44 });
    expect(lists).toBeLessThanOrEqual(90);
  });
});
