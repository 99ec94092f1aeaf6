import { rmSync } from "node:fs";
import { beforeEach, describe, expect, it } from "vitest";
import { ReplicaError } from "../../../shared/errors.ts";
import { decodeLtx } from "../../../shared/ltx/decoder.ts";
import { formatLtxKey, type Replica } from "../../../shared/replica/ltx-key.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import type { ObjectStore } from "../../../shared/storage/object-store.ts";
import { countingStore, type CountingStore } from "../../support/counting-store.ts";
import { differingPages, imageNow } from "../../support/live-database.ts";
import { MaintenanceFixture } from "../../support/maintenance-fixture.ts";
import { replicaIn, txid } from "../../support/replica-fixtures.ts";
import { restoredImage } from "../../support/restored-image.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let clock: { nowMs: number };
let memory: MemoryStore;
let store: CountingStore;
let replica: Replica;
beforeEach(() => {
  // A midnight, so that the levels' intervals begin here.
  clock = { nowMs: Date.UTC(2026, 10, 26) };
  memory = new MemoryStore({ now: () => clock.nowMs });
  store = countingStore(memory);
  replica = replicaIn(store);
});

const start = (options: Parameters<typeof MaintenanceFixture.start>[2] = {}) =>
  MaintenanceFixture.start(replica, clock, options);

async function expectEqual({ capture }: MaintenanceFixture): Promise<void> {
  const image = await restoredImage(replica);
  expect(differingPages(image, imageNow(capture.source), 512)).toEqual([]);
}

describe("snapshots", () => {
  it("are written once a day where there is something new, and are the database", async () => {
    using fixture = await start({ retentionEnabled: false });
    await fixture.commit(3);
    await fixture.pass(23 * HOUR);
    expect(await fixture.level(9)).toBe("");
    await fixture.commit(2);
    await fixture.pass(HOUR);
    expect(await fixture.level(9)).toBe("L9[1-5]");
    await fixture.pass(72 * HOUR);
    expect(await fixture.level(9)).toBe("L9[1-5]");
    await fixture.commit(1);
    await fixture.pass(MINUTE);
    expect(await fixture.level(9)).toBe("L9[1-5] L9[1-6]");
    const key = formatLtxKey(replica, { level: 9, minTxid: txid(1), maxTxid: txid(6) });
    const { header, pages } = decodeLtx((await memory.get(key))!.bytes);
    const image = Buffer.concat(pages.map(({ data }) => data));
    expect(differingPages(image, imageNow(fixture.capture.source), 512)).toEqual([]);
    expect(header).toMatchObject({ minTxid: 1n, maxTxid: 6n, walOffset: 0, flags: 2 });
    expect(fixture.said("snapshot-written")).toEqual([
      expect.objectContaining({ txid: "0000000000000005" }),
      expect.objectContaining({ txid: "0000000000000006" }),
    ]);
    await expectEqual(fixture);
  });

  it("go by what is in the store after a restart", async () => {
    using fixture = await start({ snapshotIntervalMs: HOUR });
    await fixture.commit(3);
    await fixture.pass(50 * MINUTE);
    fixture.restart();
    await fixture.pass(MINUTE);
    expect(await fixture.level(9)).toBe("");
    await fixture.pass(10 * MINUTE);
    expect(await fixture.level(9)).toBe("L9[1-3]");
    fixture.restart();
    await fixture.commit(1);
    await fixture.pass(50 * MINUTE);
    expect(await fixture.level(9)).toBe("L9[1-3]");
  });

  it("are written at once where no file holds the whole database", async () => {
    using fixture = await start();
    await fixture.commit(3);
    await memory.delete([formatLtxKey(replica, { level: 0, minTxid: txid(1), maxTxid: txid(1) })]);
    fixture.restart();
    await fixture.pass(5_000);
    expect(await fixture.level(9)).toBe("L9[1-3]");
    await expectEqual(fixture);
  });

  it("on demand are written unless there is one of the newest TXID", async () => {
    using fixture = await start();
    await fixture.commit(1);
    const { signal } = new AbortController();
    expect(await fixture.maintenance.snapshotNow(signal)).toBe(true);
    expect(await fixture.maintenance.snapshotNow(signal)).toBe(false);
    fixture.restart();
    expect(await fixture.maintenance.snapshotNow(signal)).toBe(false);
    await fixture.commit(1);
    expect(await fixture.maintenance.snapshotNow(signal)).toBe(true);
    expect(await fixture.level(9)).toBe("L9[1] L9[1-2]");
  });

  it("whose file is removed before it is stored are tried again, as the staging directory is put right", async () => {
    let folder: string | undefined;
    replica = replicaIn({
      list: (options) => memory.list(options),
      get: (key, options) => memory.get(key, options),
      delete: (keys, options) => memory.delete(keys, options),
      async put(key, body, options) {
        if (key.includes("/0009/") && folder !== undefined) rmSync(folder, { recursive: true });
        return await memory.put(key, body, options);
      },
    });
    using fixture = await start({ snapshotIntervalMs: HOUR });
    await fixture.commit(2);
    folder = fixture.capture.staging.folder;
    await fixture.pass(HOUR);
    expect(fixture.said("snapshot-failed")).toEqual([
      expect.objectContaining({ message: expect.stringContaining("ENOENT") as string }),
    ]);
    folder = undefined;
    await fixture.pass(MINUTE);
    expect(await fixture.level(9)).toBe("L9[1-2]");
  });

  it("that the store does not take are tried again, less and less often", async () => {
    const refusing = failing(memory, ({ key }) => key.includes("/0009/"));
    replica = replicaIn(refusing.store);
    using fixture = await start({ snapshotIntervalMs: HOUR });
    await fixture.commit(2);
    await fixture.pass(2 * HOUR);
    const failures = fixture.said("snapshot-failed").length;
    expect(failures).toBeGreaterThan(3);
    expect(failures).toBeLessThan(10);
    refusing.isFailing = false;
    await fixture.pass(HOUR);
    expect(await fixture.level(9)).toBe("L9[1-2]");
  });
});

describe("a store that lost a file of level 0", () => {
  it("gets a snapshot at once, behind which the levels go on", async () => {
    using fixture = await start();
    await fixture.commit(3);
    await fixture.pass(MINUTE);
    await fixture.commit(4);
    await memory.delete([formatLtxKey(replica, { level: 0, minTxid: txid(5), maxTxid: txid(5) })]);
    await expect(restoredImage(replica)).rejects.toMatchObject({ code: "REPLICA_GAP" });
    await fixture.pass(MINUTE);
    expect(fixture.said("compaction-failed")).toHaveLength(1);
    expect(await fixture.level(9)).toBe("L9[1-7]");
    expect(await fixture.level(1)).toBe("L1[2-3] L1[4] L1[6-7]");
    await expectEqual(fixture);
    await fixture.commit(3);
    await fixture.pass(HOUR);
    expect(await fixture.level(1)).toBe("L1[2-3] L1[4] L1[6-7] L1[8-10]");
    expect(
      fixture.said("compaction-failed").map((event) => "level" in event && event.level),
    ).toEqual([1, 2, 3].slice(0, fixture.said("compaction-failed").length));
    expect(await fixture.level(3)).toContain("10]");
    await fixture.pass(HOUR);
    await expectEqual(fixture);
  });
});

describe("what is old", () => {
  it("leaves level 0 five minutes after it is in level 1, but for the newest", async () => {
    using fixture = await start();
    await fixture.commit(10);
    await fixture.pass(4 * MINUTE);
    expect(await fixture.level(0)).toBe(names(0, 1, 10));
    await fixture.pass(2 * MINUTE);
    expect(await fixture.level(1)).toBe("L1[2-10]");
    expect(await fixture.level(0)).toBe("L0[1] L0[10]");
    expect(fixture.said("retention-deleted")).toEqual([
      expect.objectContaining({ files: 8, bytes: expect.any(Number) }),
    ]);
    await expectEqual(fixture);
  });

  it("goes with the day: snapshots, and the levels below the oldest that is kept", async () => {
    using fixture = await start();
    for (let day = 0; day < 5; day++) {
      for (let hour = 0; hour < 4; hour++) {
        await fixture.commit(2);
        await fixture.pass(6 * HOUR);
      }
      await expectEqual(fixture);
    }
    expect(await fixture.level(9)).not.toContain("L9[1-9]");
    expect((await fixture.level(9)).split(" ")).toHaveLength(2);
    const oldest = Number(/\d+\]/.exec(await fixture.level(9))?.[0].slice(0, -1));
    expect(Number(/(\d+)\]/.exec(await fixture.level(1))?.[1])).toBeGreaterThanOrEqual(oldest);
    expect(fixture.said("retention-failed", "retention-refused", "compaction-failed")).toEqual([]);
    expect(await fixture.level(0)).toBe("L0[40]");
  });

  it("stays where retention is off, and where level 0 is kept for ever", async () => {
    for (const options of [{ retentionEnabled: false }, { l0RetentionMs: 0 }]) {
      replica = replicaIn(store, JSON.stringify(options));
      using fixture = await start({ ...options, snapshotIntervalMs: HOUR });
      for (let round = 0; round < 4; round++) {
        await fixture.commit(3);
        await fixture.pass(30 * HOUR);
      }
      const { signal } = new AbortController();
      await fixture.maintenance.enforceRetentionNow(signal);
      expect(await fixture.level(0)).toBe(names(0, 1, 12));
      expect((await fixture.level(9)).split(" ")).toHaveLength(4);
      expect(store.deletes).toBe(0);
    }
  });

  it("goes on demand too", async () => {
    using fixture = await start();
    await fixture.commit(4);
    await fixture.pass(MINUTE);
    clock.nowMs += HOUR;
    fixture.restart();
    await fixture.maintenance.enforceRetentionNow(new AbortController().signal);
    expect(await fixture.level(0)).toBe("L0[1] L0[4]");
  });

  it("stays where what is to replace it is not in the store", async () => {
    using fixture = await start();
    await fixture.commit(4);
    await fixture.pass(MINUTE);
    const key = formatLtxKey(replica, { level: 1, minTxid: txid(2), maxTxid: txid(4) });
    const { bytes } = (await memory.get(key))!;
    await memory.delete([key]);
    await fixture.pass(10 * MINUTE);
    expect(await fixture.level(0)).toBe(names(0, 1, 4));
    expect(fixture.said("retention-failed")).toEqual([
      expect.objectContaining({ message: expect.stringContaining("nothing was deleted") }),
    ]);
    await memory.put(key, bytes.subarray(0, bytes.length - 20));
    await fixture.pass(HOUR);
    expect(await fixture.level(0)).toBe("L0[1] L0[4]");
  });

  it("is named and tried again where the store only says that it deleted it", async () => {
    let isLying = true;
    const deleteObjects = memory.delete.bind(memory);
    memory.delete = async (keys, options) => {
      if (!isLying) await deleteObjects(keys, options);
    };
    using fixture = await start();
    await fixture.commit(4);
    await fixture.pass(10 * MINUTE);
    expect(fixture.said("retention-failed")).toEqual([
      expect.objectContaining({ message: expect.stringContaining("still lists them") }),
    ]);
    isLying = false;
    await fixture.pass(15 * MINUTE);
    expect(await fixture.level(0)).toBe("L0[1] L0[4]");
  });

  it("stays where deleting is not allowed, which is said once", async () => {
    memory.delete = async () => {
      throw new ReplicaError("STORE_DENIED", "no permission to delete");
    };
    using fixture = await start();
    for (let round = 0; round < 4; round++) {
      await fixture.commit(4);
      await fixture.pass(2 * HOUR);
    }
    expect(fixture.said("retention-refused")).toHaveLength(1);
    expect(await fixture.level(0)).toBe(names(0, 1, 16));
    expect((await fixture.level(1)).split(" ")).toHaveLength(4);
  });
});

/** A store that fails where `isMeant` says, while `isFailing`. */
function failing(inner: MemoryStore, isMeant: (put: { readonly key: string }) => boolean) {
  const state = {
    isFailing: true,
    store: undefined as unknown as ObjectStore,
  };
  state.store = {
    list: (options) => inner.list(options),
    get: (key, options) => inner.get(key, options),
    delete: (keys, options) => inner.delete(keys, options),
    put: async (key, body, options) => {
      if (state.isFailing && isMeant({ key })) throw new ReplicaError("R2_ERROR", "503");
      return await inner.put(key, body, options);
    },
  };
  return state;
}

function names(level: number, from: number, to: number): string {
  return Array.from({ length: to - from + 1 }, (_, index) => `L${level}[${from + index}]`).join(
    " ",
  );
}
