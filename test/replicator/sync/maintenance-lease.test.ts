/** What is written and deleted beside level 0, and the lease. */
import { beforeEach, describe, expect, it } from "vitest";
import { formatLease, LEASE_MS } from "../../../replicator/sync/lease-document.ts";
import { Lease } from "../../../replicator/sync/lease.ts";
import { Replication } from "../../../replicator/sync/sync-loop.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { createLiveDatabase } from "../../support/live-database.ts";
import { MaintenanceFixture } from "../../support/maintenance-fixture.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const MINUTE = 60_000;
const LEASE_KEY = "db/lock.json";
const never = new AbortController().signal;

let clock: { nowMs: number };
let memory: MemoryStore;
/** Keys that were put or deleted, in their order. */
let written: string[];
let replica: Replica;
beforeEach(() => {
  clock = { nowMs: Date.UTC(2026, 10, 26) };
  memory = new MemoryStore({ now: () => clock.nowMs });
  written = [];
  replica = replicaIn({
    list: (options) => memory.list(options),
    get: (key, options) => memory.get(key, options),
    async put(key, body, options) {
      const answer = await memory.put(key, body, options);
      written.push(key);
      return answer;
    },
    async delete(keys, options) {
      written.push(...keys);
      await memory.delete(keys, options);
    },
  });
});

const now = () => clock.nowMs;

/** Another machine's replicator takes the path over. */
async function takeOver(): Promise<void> {
  const expiresAtMs = clock.nowMs + LEASE_MS;
  const lease = formatLease({ generation: 9, expiresAtMs, owner: "elsewhere:1", nonce: "n" });
  await memory.put(LEASE_KEY, lease);
}

async function leaseIsLive(): Promise<boolean> {
  const { bytes } = (await memory.get(LEASE_KEY))!;
  const { expires_at } = JSON.parse(new TextDecoder().decode(bytes)) as { expires_at: string };
  return Date.parse(expires_at) > clock.nowMs;
}

describe("levels, snapshots and retention", () => {
  it.each([
    ["merge nothing", {}, MINUTE],
    ["write no snapshot", { levelIntervalsMs: [], snapshotIntervalMs: MINUTE }, 2 * MINUTE],
    ["delete nothing", { levelIntervalsMs: [30_000], snapshotIntervalMs: 1e12 }, 10 * MINUTE],
  ])("%s after another replicator has taken the path over", async (name, options, passMs) => {
    using live = createLiveDatabase();
    const recordPath = `${live.folder}/eddy.lease`;
    const lease = await Lease.look({ replica, recordPath, now });
    using fixture = await MaintenanceFixture.start(replica, clock, { ...options, lease });
    await lease.hold(never);
    await fixture.commit(4);
    if (name === "delete nothing") await fixture.pass(2 * MINUTE);
    await takeOver();
    written = [];
    await expect(fixture.pass(passMs)).rejects.toMatchObject({
      code: "WRITER_CONFLICT",
      message: expect.stringContaining("elsewhere:1") as string,
    });
    expect(written).toEqual([]);
  });
});

describe("a replication that does not run", () => {
  it("gives the lease back when all that was asked for is done, and not before", async () => {
    using live = createLiveDatabase();
    live.exec("INSERT INTO t (body) VALUES ('a')");
    const options = { databasePath: live.path, replica, now, snapshotRetentionMs: 1 };
    for (let run = 1; run <= 3; run++) {
      const replication = await Replication.start(options);
      live.exec("INSERT INTO t (body) VALUES (randomblob(2000))");
      await replication.once(never, { forceSnapshot: true, enforceRetention: true });
      replication.close();
      clock.nowMs += 60 * MINUTE;
      expect(await leaseIsLive()).toBe(false);
      expect(written.at(-1)).toBe(LEASE_KEY);
    }
    expect(written.filter((key) => key.includes("/0009/")).length).toBeGreaterThan(3);
    // Of each run: taken (and tried whether the store knows conditions), then given back.
    expect(written.filter((key) => key === LEASE_KEY)).toHaveLength(6);
  });

  it("gives it back when what was asked for fails", async () => {
    using live = createLiveDatabase();
    live.exec("INSERT INTO t (body) VALUES ('a')");
    const store: Replica["store"] = {
      ...replica.store,
      async put(key, body, options) {
        if (key.includes("/0009/")) throw new Error("no snapshot today");
        return await replica.store.put(key, body, options);
      },
    };
    const options = { databasePath: live.path, replica: { ...replica, store }, now };
    const replication = await Replication.start(options);
    await expect(replication.once(never, { forceSnapshot: true })).rejects.toThrow("today");
    replication.close();
    expect(await leaseIsLive()).toBe(false);
  });
});
