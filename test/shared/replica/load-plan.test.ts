import { describe, expect, test } from "vitest";
import { listAllFiles, loadPlan } from "../../../shared/replica/load-plan.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import type { RestorePlan } from "../../../shared/replica/restore-plan.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { countingStore, type CountingStore } from "../../support/counting-store.ts";
import { nameOf, putLtx, replicaIn, txid } from "../../support/replica-fixtures.ts";

const LATEST = { kind: "latest" } as const;

function chainOf({ files }: RestorePlan): string {
  return files.map(nameOf).join(" ");
}

interface Range {
  readonly level: number;
  readonly min: number;
  readonly max: number;
}

interface Made {
  readonly memory: MemoryStore;
  readonly store: CountingStore;
  readonly replica: Replica;
}

/** A replica of these files; the file that ends at TXID n is stamped at second n. */
async function replicaOf(ranges: readonly Range[], pageSize = 1_000): Promise<Made> {
  const memory = new MemoryStore({ pageSize });
  for (const { level, min, max } of ranges) {
    await putLtx(memory, {
      level,
      minTxid: min,
      maxTxid: max,
      timestampMs: max * 1_000,
      pages: { 1: 1 },
    });
  }
  const store = countingStore(memory);
  return { memory, store, replica: replicaIn(store) };
}

function run(level: number, first: number, last: number, step = 1): Range[] {
  const ranges: Range[] = [];
  for (let min = first; min <= last; min += step) ranges.push({ level, min, max: min + step - 1 });
  return ranges;
}

/** One page of a listing holds 10 keys, so this has 24 pages; level 0 alone 20. */
const LARGE = [...run(0, 1, 200), ...run(1, 1, 190, 10), { level: 9, min: 1, max: 100 }];

describe("a small replica", () => {
  const small = [{ level: 9, min: 1, max: 10 }, ...run(0, 8, 14)];

  test.each([
    ["latest", LATEST, "L9[1-10] L0[11] L0[12] L0[13] L0[14]"],
    ["a TXID", { kind: "txid", txid: txid(12) }, "L9[1-10] L0[11] L0[12]"],
    ["a moment", { kind: "time", beforeMs: 11_001 }, "L9[1-10] L0[11]"],
  ] as const)("takes one LIST for %s", async (_name, target, chain) => {
    const { replica, store } = await replicaOf(small);
    expect(chainOf(await loadPlan(replica, target))).toBe(chain);
    expect({ lists: store.lists, gets: store.gets }).toEqual({ lists: 1, gets: 0 });
  });

  test("takes one LIST for a refusal too", async () => {
    const { replica, store } = await replicaOf(small);
    const refused = loadPlan(replica, { kind: "txid", txid: txid(9) });
    await expect(refused).rejects.toMatchObject({
      code: "VERSION_EXPIRED",
      details: { neighbours: { after: "000000000000000a" } },
    });
    expect(store.lists).toBe(1);
  });
});

describe("a large replica", () => {
  const chain = Array.from({ length: 9 }, (_, n) => `L1[${101 + 10 * n}-${110 + 10 * n}]`).join(
    " ",
  );
  const heads = Array.from({ length: 10 }, (_, n) => `L0[${191 + n}]`).join(" ");

  test("is listed without what the higher levels cover", async () => {
    const { replica, store } = await replicaOf(LARGE, 10);
    expect(chainOf(await loadPlan(replica, LATEST))).toBe(`L9[1-100] ${chain} ${heads}`);
    // The first page; levels 1 to 9, of which level 1 has two pages; one page of level 0.
    expect(store.lists).toBe(1 + 10 + 1);
    // In turn: the first page, nine levels six at a time, then level 1's second page, level 0.
    expect(store.rounds).toBeLessThanOrEqual(5);
    expect(store.inFlightMax).toBeLessThanOrEqual(6);
  });

  test("is listed no further than the TXID that is asked for", async () => {
    const { replica, store } = await replicaOf(LARGE, 10);
    const plan = await loadPlan(replica, { kind: "txid", txid: txid(95) });
    expect(plan.files.at(-1)).toMatchObject({ level: 0, minTxid: 95n });
    expect(store.lists).toBe(1 + 10 + 1);
  });

  test("finds a moment by the stamps that come along with the listing", async () => {
    const { replica, store } = await replicaOf(LARGE, 10);
    const plan = await loadPlan(replica, { kind: "time", beforeMs: 185_001 });
    expect({ txid: plan.txid, exact: plan.exact }).toEqual({ txid: 185n, exact: true });
    expect(store.lists).toBe(1 + 10 + 2);
    expect(store.gets).toBe(0);
  });

  test("is listed whole once before it is said that a TXID has expired", async () => {
    const { replica, store } = await replicaOf(
      [...run(0, 1, 3), ...run(1, 1, 190, 10), { level: 9, min: 1, max: 100 }],
      10,
    );
    await expect(loadPlan(replica, { kind: "txid", txid: txid(5) })).rejects.toMatchObject({
      code: "VERSION_EXPIRED",
      details: { neighbours: { before: "0000000000000003", after: "000000000000000a" } },
    });
    expect(store.lists).toBe(1 + 10 + 1 + 11);
  });

  test("closes a gap between higher levels with files of level 0", async () => {
    const { replica } = await replicaOf(
      [...run(1, 1, 100, 10), ...run(1, 121, 190, 10), ...run(0, 81, 125)],
      10,
    );
    expect((await loadPlan(replica, LATEST)).txid).toBe(190n);
    expect((await loadPlan(replica, { kind: "txid", txid: txid(125) })).txid).toBe(125n);
  });

  test("names a gap that no level closes", async () => {
    const { replica } = await replicaOf([...run(1, 1, 100, 10), ...run(0, 102, 150)], 10);
    await expect(loadPlan(replica, LATEST)).rejects.toMatchObject({
      code: "REPLICA_GAP",
      message: expect.stringContaining("0000000000000065 is in no LTX file"),
    });
  });

  test("may have other things than LTX files on its first pages", async () => {
    const { memory, replica } = await replicaOf([...run(0, 1, 5)], 10);
    for (let n = 0; n < 25; n++) await memory.put(`db/!${n}`, new Uint8Array(1));
    expect((await loadPlan(replica, LATEST)).txid).toBe(5n);
  });
});

test("listing everything takes each level once and no other key", async () => {
  const { memory, replica, store } = await replicaOf(LARGE);
  await memory.put(
    "db/generations/0123456789abcdef/wal/00000000_00000000.wal.lz4",
    new Uint8Array(1),
  );
  expect(await listAllFiles(replica)).toHaveLength(LARGE.length);
  expect(store.lists).toBe(10);
  expect(store.inFlightMax).toBe(6);
});

describe("a place without LTX files", () => {
  const LEGACY = "db/generations/0123456789abcdef/snapshots/00000000.snapshot.lz4";
  const FOLDER = "db/ltx/0/0000000000000001-0000000000000001.ltx";
  const places: [string, readonly string[], string, RegExp][] = [
    ["empty", [], "DB_NOT_FOUND", /^there is no LTX file below "db\/": check the path/],
    [
      "of another database",
      ["db2/0000/0000000000000001-0000000000000001.ltx"],
      "DB_NOT_FOUND",
      /no LTX file below "db\/"/,
    ],
    [
      "with other files only",
      ["db/lock.json", "db/notes.txt"],
      "DB_NOT_FOUND",
      /no LTX file below/,
    ],
    [
      "of Litestream 0.3",
      [LEGACY],
      "LEGACY_REPLICA",
      /^"db\/" holds a replica of Litestream 0\.3 .* upgrade Litestream to 0\.5/,
    ],
    [
      "in a folder's layout",
      [FOLDER],
      "DB_NOT_FOUND",
      /names that Litestream uses in a folder \(ltx\/0\/ …\), not in a bucket .*: rename ltx\/0 to 0000/,
    ],
  ];

  test.each(places)("%s is refused", async (_name, keys, code, message) => {
    const { memory, replica, store } = await replicaOf([]);
    for (const key of keys) await memory.put(key, new Uint8Array(1));
    await expect(loadPlan(replica, LATEST)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    expect(store.lists).toBe(1);
  });

  test("a bucket's layout in a folder is refused with the other hint", async () => {
    const { replica } = await replicaOf(run(0, 1, 3));
    const folder = { ...replica, layout: "folder" } as const;
    await expect(loadPlan(folder, LATEST)).rejects.toMatchObject({
      code: "DB_NOT_FOUND",
      message: expect.stringMatching(/uses in a bucket \(0000\/ …\), not in a folder/),
    });
  });

  test("one with many files of Litestream 0.3 is refused all the same", async () => {
    const { memory, replica } = await replicaOf([], 10);
    for (let n = 10; n < 60; n++) await memory.put(`${LEGACY}.${n}`, new Uint8Array(1));
    await expect(loadPlan(replica, LATEST)).rejects.toMatchObject({ code: "LEGACY_REPLICA" });
  });

  test("Litestream 0.3 files beside LTX files do no harm", async () => {
    const { memory, replica } = await replicaOf(run(0, 1, 3));
    await memory.put(LEGACY, new Uint8Array(1));
    expect((await loadPlan(replica, LATEST)).txid).toBe(3n);
  });
});

test("a signal that has fired is ABORTED", async () => {
  const { replica } = await replicaOf(run(0, 1, 3));
  await expect(loadPlan(replica, LATEST, { signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: "ABORTED",
  });
});
