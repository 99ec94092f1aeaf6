import { describe, expect, test } from "vitest";
import { readPageIndex } from "../../../shared/ltx/page-index.ts";
import { PageCache } from "../../../shared/replica/page-cache.ts";
import { PLAN_FILES_MAX } from "../../../shared/replica/page-map.ts";
import { PageReader } from "../../../shared/replica/page-reader.ts";
import { streamDatabase } from "../../../shared/replica/page-stream.ts";
import { openPlan, openSnapshot, type Snapshot } from "../../../shared/replica/snapshot.ts";
import type { LtxFile } from "../../../shared/replica/ltx-file.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { countingStore } from "../../support/counting-store.ts";
import { concatBytes, sameBytes } from "../../support/ltx-fixtures.ts";
import { historyOf, type PageHistory } from "../../support/page-history.ts";
import { L, nameOf, replicaIn, txid } from "../../support/replica-fixtures.ts";

const LATEST = { kind: "latest" } as const;

function at(value: number) {
  return { kind: "txid", txid: txid(value) } as const;
}

/** The whole database, page by page as a query reads it. */
async function readAll(snapshot: Snapshot): Promise<Uint8Array> {
  const reader = new PageReader(snapshot, { cache: new PageCache({ bytesMax: 10_000_000 }) });
  const image = new Uint8Array(reader.pageCount * reader.pageSize);
  for (let pgno = 1; pgno <= reader.pageCount; pgno++) {
    if (!reader.resident(pgno)) await reader.load(pgno);
    const page = reader.resident(pgno);
    expect(page).toHaveLength(reader.pageSize);
    image.set(page ?? [], (pgno - 1) * reader.pageSize);
  }
  return image;
}

async function expectState(snapshot: Snapshot, history: PageHistory): Promise<void> {
  const end = Number(snapshot.txid);
  expect(snapshot.commit).toBe(history.image(end).length / history.pageSize);
  expect(sameBytes(await readAll(snapshot), history.image(end))).toBe(true);
  expect(
    sameBytes(concatBytes(await Array.fromAsync(streamDatabase(snapshot))), history.image(end)),
  ).toBe(true);
}

describe("the newest version of a page wins", () => {
  const history = historyOf([
    { commit: 6 },
    { commit: 6, changed: [1, 2] },
    { commit: 6, changed: [1, 3] },
    { commit: 6, changed: [1, 2, 4] },
    { commit: 6, changed: [1, 5] },
    { commit: 6, changed: [1] },
  ]);

  const layouts: [string, readonly (readonly [number, number, number])[], string][] = [
    [
      "level 0 only",
      [
        [0, 1, 1],
        [0, 2, 2],
        [0, 3, 3],
        [0, 4, 4],
        [0, 5, 5],
        [0, 6, 6],
      ],
      "L0[1] L0[2] L0[3] L0[4] L0[5] L0[6]",
    ],
    [
      "a snapshot and level 0 that overlaps it",
      [
        [9, 1, 4],
        [0, 3, 3],
        [0, 4, 4],
        [0, 5, 5],
        [0, 6, 6],
      ],
      "L9[1-4] L0[5] L0[6]",
    ],
    [
      "a level 1 file that straddles the snapshot's end",
      [
        [9, 1, 3],
        [1, 2, 5],
        [0, 6, 6],
      ],
      "L9[1-3] L1[2-5] L0[6]",
    ],
    [
      "level 1 files that overlap one another",
      [
        [9, 1, 1],
        [1, 2, 4],
        [1, 3, 6],
      ],
      "L9[1] L1[2-4] L1[3-6]",
    ],
    [
      "a level 1 file that came after the level 0 files it holds",
      [
        [9, 1, 2],
        [0, 3, 3],
        [0, 4, 4],
        [0, 5, 5],
        [0, 6, 6],
        [1, 3, 5],
      ],
      "L9[1-2] L1[3-5] L0[6]",
    ],
    [
      "an old level 3 file beneath a newer snapshot",
      [
        [3, 1, 5],
        [9, 1, 6],
        [2, 1, 2],
      ],
      "L9[1-6]",
    ],
  ];
  test.each(layouts)("%s", async (_name, files, plan) => {
    const store = new MemoryStore();
    for (const [level, min, max] of files) await history.put(replicaIn(store), level, min, max);
    const snapshot = await openSnapshot(replicaIn(store), LATEST);
    expect(snapshot.plan.files.map(nameOf).join(" ")).toBe(plan);
    expect(snapshot).toMatchObject({ txid: 6n, commit: 6, pageSize: 512, timestampMs: 6_000 });
    await expectState(snapshot, history);
  });
});

describe("a database that changes its size", () => {
  const history = historyOf([
    { commit: 8 },
    { commit: 3, changed: [1, 2] },
    { commit: 5, changed: [1] },
    { commit: 9, changed: [1, 4] },
    { commit: 2 },
  ]);

  test.each([1, 2, 3, 4, 5])("is as it was after transaction %i", async (end) => {
    const store = new MemoryStore();
    for (let n = 1; n <= history.head; n++) await history.put(replicaIn(store), 0, n);
    await expectState(await openSnapshot(replicaIn(store), at(end)), history);
  });

  test("is whole when it shrank and grew again within one compacted file", async () => {
    const store = new MemoryStore();
    await history.put(replicaIn(store), 9, 1);
    await history.put(replicaIn(store), 1, 2, 4);
    await expectState(await openSnapshot(replicaIn(store), LATEST), history);
  });

  test("has no place for pages beyond its end", async () => {
    const store = new MemoryStore();
    await history.put(replicaIn(store), 9, 1);
    await history.put(replicaIn(store), 0, 2);
    const { pages } = await openSnapshot(replicaIn(store), LATEST);
    expect([1, 2, 3, 4, 8].map((pgno) => pages.get(pgno)?.file)).toEqual([
      1,
      1,
      0,
      undefined,
      undefined,
    ]);
  });
});

describe("what opening costs", () => {
  const history = historyOf(
    Array.from({ length: 20 }, () => ({ commit: 300, changed: [1, 2, 3] })),
    { kind: "noise" },
  );

  async function replicaOfTwenty() {
    const memory = new MemoryStore();
    await history.put(replicaIn(memory), 9, 1, 8);
    for (let n = 9; n <= 20; n++) await history.put(replicaIn(memory), 0, n);
    const store = countingStore(memory);
    return { memory, store, replica: replicaIn(store) };
  }

  test("two reads for a large file, one for each small one, six at a time", async () => {
    const { replica, store } = await replicaOfTwenty();
    await openSnapshot(replica, LATEST);
    expect({ lists: store.lists, gets: store.gets }).toEqual({ lists: 1, gets: 2 + 12 });
    expect(store.inFlightMax).toBe(6);
  });

  test("a file that was opened before is not opened again", async () => {
    const { replica, store } = await replicaOfTwenty();
    const files = new Map<string, LtxFile>();
    await openSnapshot(replica, at(19), { files });
    store.reset();
    await expectState(await openSnapshot(replica, LATEST, { files }), history);
    expect(store.keysRead[0]).toMatch(/14\.ltx$/);
    store.reset();
    await openSnapshot(replica, LATEST, { files });
    expect({ lists: store.lists, gets: store.gets }).toEqual({ lists: 1, gets: 0 });
  });

  test("page 1 and all pages of small files are at hand after it", async () => {
    const { replica, store } = await replicaOfTwenty();
    const cache = new PageCache({ bytesMax: 1_000_000 });
    const reader = new PageReader(await openSnapshot(replica, LATEST, { cache }), { cache });
    store.reset();
    for (const pgno of [1, 2, 3, 4]) {
      expect(sameBytes(reader.resident(pgno) ?? new Uint8Array(), history.page(20, pgno))).toBe(
        true,
      );
    }
    expect(store.gets).toBe(0);
  });

  test("an index that is kept holds no more than itself", async () => {
    const { replica } = await replicaOfTwenty();
    const files = new Map<string, LtxFile>();
    await openSnapshot(replica, LATEST, { files });
    for (const { index } of files.values()) {
      expect(index?.buffer.byteLength).toBe(index?.length);
      expect(() => readPageIndex(index!, () => undefined)).not.toThrow();
    }
  });
});

describe("a plan that makes no database", () => {
  test("out of files with pages of two sizes is CORRUPT_PAGE", async () => {
    const replica = replicaIn(new MemoryStore());
    await historyOf([{ commit: 2 }], { pageSize: 1_024 }).put(replica, 9, 1);
    await historyOf([{ commit: 2 }, { commit: 2, changed: [1] }]).put(replica, 0, 2);
    await expect(openSnapshot(replica, LATEST)).rejects.toMatchObject({
      code: "CORRUPT_PAGE",
      message: expect.stringMatching(/0009.* has pages of 1024 bytes, the newest file of 512/),
    });
  });

  test("whose newest header claims four billion pages takes no memory for them", async () => {
    const store = new MemoryStore();
    const bytes = historyOf([{ commit: 300 }], { kind: "noise" }).file(1, 1);
    // A large file is read by parts, and no checksum covers a part.
    new DataView(bytes.buffer).setUint32(12, 0xffff_fff0);
    await store.put("db/0009/0000000000000001-0000000000000001.ltx", bytes);
    await expect(openSnapshot(replicaIn(store), LATEST)).rejects.toMatchObject({
      code: "CORRUPT_PAGE",
      message: expect.stringMatching(/claims a database of 4294967280 pages/),
    });
  });

  test("because it has too many files is OVERLOADED before any is opened", async () => {
    const store = countingStore(new MemoryStore());
    const file = L(0, 1, 1, 1);
    const files = Array.from({ length: PLAN_FILES_MAX + 1 }, () => file);
    const plan = { files, txid: file.maxTxid, exact: true };
    await expect(openPlan(replicaIn(store), plan)).rejects.toMatchObject({ code: "OVERLOADED" });
    expect(store.gets).toBe(0);
  });
});
