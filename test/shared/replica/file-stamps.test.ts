/** Moments on a store whose listing carries no metadata, as S3: the stamps come from the files. */
import { describe, expect, test } from "vitest";
import type { StampCache } from "../../../shared/replica/file-stamps.ts";
import { loadPlan } from "../../../shared/replica/load-plan.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import type { ObjectStore } from "../../../shared/storage/object-store.ts";
import { countingStore, type CountingStore } from "../../support/counting-store.ts";
import { nameOf, putLtx, replicaIn } from "../../support/replica-fixtures.ts";

interface Stamped {
  readonly level: number;
  readonly min: number;
  readonly max: number;
  readonly stampMs: number;
}

interface Made {
  readonly memory: MemoryStore;
  readonly store: CountingStore;
  readonly replica: Replica;
}

/** As S3: a listing says when an object was uploaded and nothing of its metadata. */
function withoutMetadata(store: ObjectStore): ObjectStore {
  return {
    get: store.get.bind(store),
    put: store.put.bind(store),
    delete: store.delete.bind(store),
    list: (options) => store.list({ ...options, withMetadata: false }),
  };
}

async function replicaOf(files: readonly Stamped[]): Promise<Made> {
  // Everything was copied here long after it was written.
  const memory = new MemoryStore({ now: () => 9_999_999 });
  for (const { level, min, max, stampMs } of files) {
    await putLtx(memory, {
      level,
      minTxid: min,
      maxTxid: max,
      timestampMs: stampMs,
      pages: { 1: 1 },
    });
  }
  const store = countingStore(withoutMetadata(memory));
  return { memory, store, replica: replicaIn(store) };
}

/** Runs `first` just before the first read. */
function interrupted(replica: Replica, first: () => Promise<void>): Replica {
  let pending: Promise<void> | undefined;
  const get: ObjectStore["get"] = async (key, options) => {
    await (pending ??= first());
    return await replica.store.get(key, options);
  };
  return { ...replica, store: { ...withoutMetadata(replica.store), get } };
}

function before(beforeMs: number) {
  return { kind: "time", beforeMs } as const;
}

/** Files of one TXID on level 0, file n stamped at 10·n. */
function singles(first: number, last: number): Stamped[] {
  const txids = Array.from({ length: last - first + 1 }, (_, index) => first + index);
  return txids.map((n) => ({ level: 0, min: n, max: n, stampMs: 10 * n }));
}

const SNAPSHOT = { level: 9, min: 1, max: 10, stampMs: 100 };

describe("in a short level", () => {
  test("every file's stamp is read from its header, and is read once", async () => {
    const { replica, store } = await replicaOf([SNAPSHOT, ...singles(11, 40)]);
    const stamps: StampCache = new Map();
    const plan = await loadPlan(replica, before(251), { stamps });
    expect({ txid: plan.txid, exact: plan.exact }).toEqual({ txid: 25n, exact: true });
    expect({ lists: store.lists, gets: store.gets, bytes: store.bytesRead }).toEqual({
      lists: 1,
      gets: 31,
      bytes: 3_100,
    });
    expect(store.inFlightMax).toBe(6);

    const again = await loadPlan(replica, before(250), { stamps });
    expect(again.txid).toBe(24n);
    expect({ lists: store.lists, gets: store.gets }).toEqual({ lists: 2, gets: 31 });
  });

  test("a file that was replaced is read again", async () => {
    const { memory, replica, store } = await replicaOf([SNAPSHOT, ...singles(11, 12)]);
    const stamps: StampCache = new Map();
    await loadPlan(replica, before(200), { stamps });
    await putLtx(memory, { level: 0, minTxid: 12, timestampMs: 500, pages: { 1: 1 } });
    store.reset();
    expect((await loadPlan(replica, before(200), { stamps })).txid).toBe(11n);
    expect(store.gets).toBe(1);
  });

  test("a clock that stepped back ends the plan where Litestream's ends", async () => {
    const { replica } = await replicaOf([
      SNAPSHOT,
      { level: 0, min: 11, max: 11, stampMs: 130 },
      { level: 0, min: 12, max: 12, stampMs: 110 },
      { level: 0, min: 13, max: 13, stampMs: 140 },
    ]);
    const plan = await loadPlan(replica, before(120));
    expect(plan.files.map(nameOf)).toEqual(["L9[1-10]"]);
  });

  test("a moment before the first file is refused", async () => {
    const { replica } = await replicaOf([SNAPSHOT, ...singles(11, 12)]);
    await expect(loadPlan(replica, before(100))).rejects.toMatchObject({
      code: "TIME_OUT_OF_RANGE",
      message: expect.stringContaining("1970-01-01T00:00:00.100Z"),
    });
  });

  test("all snapshots that begin at TXID 1 are told apart", async () => {
    const snapshots = Array.from({ length: 40 }, (_, n) => ({
      level: 9,
      min: 1,
      max: n + 1,
      stampMs: 10 * (n + 1),
    }));
    const { replica } = await replicaOf(snapshots);
    for (const n of [1, 7, 25, 40]) {
      expect((await loadPlan(replica, before(10 * n + 1))).txid).toBe(BigInt(n));
    }
  });
});

describe("in a long level", () => {
  const long = [SNAPSHOT, ...singles(11, 1_010)];

  test("only the files around the moment are read", async () => {
    const { replica, store } = await replicaOf(long);
    const plan = await loadPlan(replica, before(7_001));
    expect({ txid: plan.txid, exact: plan.exact }).toEqual({ txid: 700n, exact: true });
    // The snapshot; halving a thousand; eight on each side.
    expect(store.gets).toBeLessThanOrEqual(1 + 10 + 16);
    expect(store.inFlightMax).toBeLessThanOrEqual(6);
  });

  test.each([101, 111, 5_005, 10_100, 10_101, 99_999])(
    "any moment is found: before %i",
    async (beforeMs) => {
      const { replica } = await replicaOf(long);
      const last = Math.min(1_010, Math.floor((beforeMs - 1) / 10));
      expect((await loadPlan(replica, before(beforeMs))).txid).toBe(BigInt(last));
    },
  );

  test("a clock that stepped back a little ends the plan where Litestream's ends", async () => {
    const files = long.map((file) => (file.min === 698 ? { ...file, stampMs: 7_500 } : file));
    const { replica } = await replicaOf(files);
    expect((await loadPlan(replica, before(7_001))).txid).toBe(697n);
  });

  test("a stepped-back stamp at the edge of what is read does not push the moment back to the snapshot", async () => {
    for (let edge = 690; edge < 700; edge++) {
      const files = long.map((file) => (file.min === edge ? { ...file, stampMs: 7_500 } : file));
      const { replica } = await replicaOf(files);
      const { txid } = await loadPlan(replica, before(7_001));
      expect([BigInt(edge - 1), 700n]).toContain(txid);
    }
  });
});

test("six levels together have at most six reads in flight", async () => {
  const levels = [1, 2, 3, 4, 5].map((level) => ({ level, min: 1, max: 5 * level, stampMs: 50 }));
  const { replica, store } = await replicaOf([SNAPSHOT, ...levels, ...singles(1, 30)]);
  expect((await loadPlan(replica, before(5_000))).txid).toBe(30n);
  expect(store.inFlightMax).toBe(6);
});

describe("a file that goes after it was listed", () => {
  const KEY = "db/0000/000000000000000c-000000000000000c.ltx";

  test("makes the planner list again, and what replaced it is used", async () => {
    const { memory, replica, store } = await replicaOf([SNAPSHOT, ...singles(11, 13)]);
    const compacted = interrupted(replica, async () => {
      await putLtx(memory, {
        level: 1,
        minTxid: 11,
        maxTxid: 12,
        timestampMs: 120,
        pages: { 1: 1 },
      });
      await memory.delete([KEY]);
    });
    const plan = await loadPlan(compacted, before(9_999));
    expect(plan.files.map(nameOf)).toEqual(["L9[1-10]", "L1[11-12]", "L0[13]"]);
    expect(store.lists).toBe(2);
  });

  test("is a gap when nothing replaced it, and never an older state", async () => {
    const { memory, replica } = await replicaOf([SNAPSHOT, ...singles(11, 13)]);
    const cut = interrupted(replica, () => memory.delete([KEY]));
    await expect(loadPlan(cut, before(9_999))).rejects.toMatchObject({ code: "REPLICA_GAP" });
  });
});

test("a damaged header is CORRUPT_PAGE and names the file", async () => {
  const { memory, replica } = await replicaOf([SNAPSHOT, ...singles(11, 13)]);
  const key = "db/0000/000000000000000c-000000000000000c.ltx";
  await memory.put(key, new Uint8Array(200));
  await expect(loadPlan(replica, before(9_999))).rejects.toMatchObject({
    code: "CORRUPT_PAGE",
    message: expect.stringContaining(`"${key}" is damaged`),
  });
});
