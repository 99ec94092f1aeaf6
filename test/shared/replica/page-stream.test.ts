import * as fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { ReplicaError, throwIfAborted } from "../../../shared/errors.ts";
import { readPageIndex } from "../../../shared/ltx/page-index.ts";
import { listLtxFiles } from "../../../shared/replica/list-ltx-files.ts";
import { openLtxFile } from "../../../shared/replica/ltx-file.ts";
import { PageMap } from "../../../shared/replica/page-map.ts";
import { streamDatabase } from "../../../shared/replica/page-stream.ts";
import { openSnapshot, type Snapshot } from "../../../shared/replica/snapshot.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import type { ObjectStore } from "../../../shared/storage/object-store.ts";
import { countingStore, type CountingStore } from "../../support/counting-store.ts";
import { concatBytes, ltxFile, patched, sameBytes } from "../../support/ltx-fixtures.ts";
import { historyOf } from "../../support/page-history.ts";
import { replicaIn, txid } from "../../support/replica-fixtures.ts";

const LATEST = { kind: "latest" } as const;
const BASE_KEY = "db/0009/0000000000000001-0000000000000001.ltx";

/** Eight mebibytes, which are eight pieces, of pages that do not compress. */
const PAGES = 2_048;
const HISTORY = historyOf(
  [
    { commit: PAGES },
    { commit: PAGES, changed: [1, 2, 3, 700, 1_500] },
    { commit: PAGES, changed: [1, 700, 701, 2_048] },
  ],
  { kind: "noise", pageSize: 4_096 },
);
const IMAGE = HISTORY.image(3);

let memory: MemoryStore;
let store: CountingStore;

beforeEach(async () => {
  memory = new MemoryStore();
  store = countingStore(memory);
  await HISTORY.put(replicaIn(memory), 9, 1);
  await HISTORY.put(replicaIn(memory), 0, 2);
  await HISTORY.put(replicaIn(memory), 0, 3);
});

/** Opens the newest state; what is read from here on is counted. */
async function open(): Promise<Snapshot> {
  const snapshot = await openSnapshot(replicaIn(store), LATEST);
  store.reset();
  return snapshot;
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return concatBytes(await Array.fromAsync(chunks));
}

/** Lets everything run that waits for nothing but itself. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 1_000; turn++) await Promise.resolve();
}

/** Takes one piece, changes the bucket, takes the rest. */
async function interrupted(change: () => Promise<unknown>): Promise<Uint8Array> {
  const stream = streamDatabase(await open());
  const first = await stream.next();
  await settle();
  await change();
  return concatBytes([first.value ?? new Uint8Array(), await collect(stream)]);
}

/** A page of 64 KiB. */
function largePage(seed: number): Uint8Array {
  return new Uint8Array(65_536).fill(seed);
}

describe("the bytes", () => {
  test("of the whole stream are the database's file", async () => {
    expect(sameBytes(await collect(streamDatabase(await open())), IMAGE)).toBe(true);
  });

  test("of any range are that part of the file", async () => {
    const snapshot = await open();
    const aRange = fc
      .tuple(
        fc.nat({ max: IMAGE.length }),
        fc.oneof(fc.nat({ max: 10_000 }), fc.nat({ max: 3_000_000 })),
      )
      .map(([offset, length]) => ({ offset, length: Math.min(length, IMAGE.length - offset) }));
    await fc.assert(
      fc.asyncProperty(aRange, async (range) => {
        const part = IMAGE.subarray(range.offset, range.offset + range.length);
        expect(sameBytes(await collect(streamDatabase(snapshot, { range })), part)).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  test.each([
    ["at the border of two pieces", 1_048_570, 20],
    ["at the border of two pages", 4_095, 2],
    ["that is the last byte", 8_388_607, 1],
    ["that is the first byte", 0, 1],
  ])("of a range %s are that part of the file", async (_name, offset, length) => {
    const stream = streamDatabase(await open(), { range: { offset, length } });
    expect(await collect(stream)).toEqual(IMAGE.slice(offset, offset + length));
  });
});

describe("the cost", () => {
  test("of the whole is few reads, six at a time, and hardly a byte more than the files have", async () => {
    await collect(streamDatabase(await open()));
    // Eight pieces of noise, which is longer than a mebibyte: two reads each, and the changed pages.
    expect(store.gets).toBeLessThanOrEqual(8 * 2 + 12);
    expect(store.inFlightMax).toBeLessThanOrEqual(6);
    expect(store.bytesRead).toBeLessThan(1.02 * IMAGE.length);
  });

  test("of a small range is that of its pages", async () => {
    await collect(streamDatabase(await open(), { range: { offset: 2_000_000, length: 100 } }));
    expect(store.gets).toBe(1);
    expect(store.bytesRead).toBeLessThan(4_096 + 100);
  });

  test("of an empty range is nothing", async () => {
    expect(
      await collect(streamDatabase(await open(), { range: { offset: 5_000, length: 0 } })),
    ).toHaveLength(0);
    expect(store.gets).toBe(0);
  });

  test("is not paid ahead of who takes it: three pieces, and one for each that is taken", async () => {
    const stream = streamDatabase(await open());
    expect(store.gets).toBe(0);
    const bytesRead: number[] = [];
    for (let taken = 1; taken <= 4; taken++) {
      await stream.next();
      await settle();
      bytesRead.push(store.bytesRead);
    }
    for (const [taken, bytes] of bytesRead.entries()) {
      expect(bytes).toBeLessThan((taken + 3) * 1_060_000);
    }
    await stream.return(undefined);
  });

  test("ends when who takes it leaves: reads under way are cancelled and none begins", async () => {
    const snapshot = await open();
    const signals: (AbortSignal | undefined)[] = [];
    // Four reads make the first piece, two each of the next; these answer nothing until they are cancelled.
    const slow: ObjectStore["get"] = (key, options) => {
      throwIfAborted(options?.signal);
      if (signals.push(options?.signal) <= 4) return memory.get(key, options);
      return new Promise((_, reject) => {
        options?.signal?.addEventListener("abort", () =>
          reject(new ReplicaError("ABORTED", "slow")),
        );
      });
    };
    const replica = { ...snapshot.replica, store: { ...store, get: slow } };
    const stream = streamDatabase({ ...snapshot, replica });
    await stream.next();
    await settle();
    expect(signals).toHaveLength(4 + 2 * 2);
    await stream.return(undefined);
    expect(signals).toHaveLength(4 + 2 * 2);
    expect(signals.every((signal) => signal?.aborted)).toBe(true);
  });
});

describe("a signal", () => {
  test("that has fired reads nothing", async () => {
    const stream = streamDatabase(await open(), { signal: AbortSignal.abort() });
    await expect(stream.next()).rejects.toMatchObject({ code: "ABORTED" });
    expect(store.gets).toBe(0);
  });

  test("that fires between two pieces ends the stream with ABORTED", async () => {
    const controller = new AbortController();
    const stream = streamDatabase(await open(), { signal: controller.signal });
    await stream.next();
    await settle();
    const { gets } = store;
    controller.abort();
    await expect(stream.next()).rejects.toMatchObject({ code: "ABORTED" });
    expect(store.gets).toBe(gets);
    expect((await stream.next()).done).toBe(true);
  });
});

describe("when a file goes in the middle", () => {
  test("it plans again once, and the bytes are the same", async () => {
    const bytes = await interrupted(async () => {
      await HISTORY.put(replicaIn(memory), 9, 1, 3);
      await memory.delete([BASE_KEY]);
    });
    expect(sameBytes(bytes, IMAGE)).toBe(true);
    expect(store.lists).toBe(1);
  });

  test("it is VERSION_EXPIRED when its TXID is reached by nothing any more", async () => {
    const gone = interrupted(async () => {
      await memory.delete([BASE_KEY]);
      await historyOf([
        { commit: 1 },
        { commit: 1, changed: [1] },
        { commit: 1 },
        { commit: 1 },
      ]).put(replicaIn(memory), 9, 1, 4);
    });
    await expect(gone).rejects.toMatchObject({ code: "VERSION_EXPIRED" });
  });

  test("another history under the same TXIDs is not mixed in", async () => {
    const others = interrupted(async () => {
      await memory.delete((await memory.list({ prefix: "" })).objects.map(({ key }) => key));
      await historyOf([{ commit: 5 }, { commit: 9 }, { commit: 6 }]).put(
        replicaIn(memory),
        9,
        1,
        3,
      );
    });
    await expect(others).rejects.toMatchObject({ code: "OBJECT_MISSING" });
  });
});

describe("refusals", () => {
  test("a damaged frame ends the stream with CORRUPT_PAGE and names the file, after what is sound", async () => {
    const base = HISTORY.file(1, 1);
    const { offset } = (await open()).pages.get(1_900)!;
    await memory.put(BASE_KEY, patched(base, offset, 0, 0, 9));
    const stream = streamDatabase(await open());
    for (let piece = 0; piece < 7; piece++) {
      const { value } = await stream.next();
      expect(
        sameBytes(
          value ?? new Uint8Array(),
          IMAGE.subarray(piece * 1_048_576, (piece + 1) * 1_048_576),
        ),
      ).toBe(true);
    }
    await expect(stream.next()).rejects.toMatchObject({
      code: "CORRUPT_PAGE",
      message: expect.stringMatching(new RegExp(`^"${BASE_KEY}" is damaged: `)),
    });
  });

  test("a page that no file holds is CORRUPT_PAGE, not zeros", async () => {
    await historyOf([{ commit: 1 }, { commit: 1, changed: [1] }, { commit: 1, changed: [1] }]).put(
      replicaIn(memory),
      0,
      1,
    );
    await memory.put(
      "db/0000/0000000000000004-0000000000000004.ltx",
      ltxFile({
        minTxid: 4,
        commit: PAGES + 2,
        pageSize: 4_096,
        pages: { 1: new Uint8Array(4_096), [PAGES + 2]: new Uint8Array(4_096) },
      }),
    );
    const stream = streamDatabase(await open(), { range: { offset: PAGES * 4_096, length: 10 } });
    await expect(collect(stream)).rejects.toMatchObject({
      code: "CORRUPT_PAGE",
      message: `page ${PAGES + 1} of ${PAGES + 2} is in none of the LTX files of its plan`,
    });
  });
});

test("the lock page is zeros, between its neighbours", async () => {
  // Page 16,385 with pages of 64 KiB. A file of the two beside it stands for a database of 1 GiB.
  const bytes = ltxFile({
    minTxid: 1_000,
    commit: 16_386,
    pageSize: 65_536,
    pages: { 16_384: largePage(1), 16_386: largePage(2) },
  });
  memory = new MemoryStore();
  const replica = replicaIn(memory);
  await memory.put("db/0000/00000000000003e8-00000000000003e8.ltx", bytes);
  const [info] = await Array.fromAsync(listLtxFiles(replica, { level: 0 }));
  const { index } = await openLtxFile(replica, info);
  const pages = new PageMap(16_386);
  readPageIndex(index, (pgno, offset, size) => pages.set(pgno, { file: 0, offset, size }));
  const plan = { files: [info], txid: txid(1_000), exact: true };
  const snapshot = {
    replica,
    plan,
    txid: txid(1_000),
    timestampMs: 0,
    pageSize: 65_536,
    commit: 16_386,
    pages,
  };
  const range = { offset: 16_383 * 65_536, length: 3 * 65_536 };
  const expected = concatBytes([largePage(1), largePage(0), largePage(2)]);
  expect(sameBytes(await collect(streamDatabase(snapshot, { range })), expected)).toBe(true);
});
