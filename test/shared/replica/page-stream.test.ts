import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ReplicaError, throwIfAborted } from "../../../shared/errors.ts";
import { SparsePageMap } from "../../../shared/replica/sparse-page-map.ts";
import { streamDatabase } from "../../../shared/replica/page-stream.ts";
import { openPlan, openSnapshot, type Snapshot } from "../../../shared/replica/snapshot.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import type { ObjectStore } from "../../../shared/storage/object-store.ts";
import { countingStore } from "../../support/counting-store.ts";
import { concatBytes, rawFrame, sameBytes, samplePage } from "../../support/ltx-fixtures.ts";
import { historyOf } from "../../support/page-history.ts";
import { L, replicaIn, txid } from "../../support/replica-fixtures.ts";

const LATEST = { kind: "latest" } as const;
const PAGE_SIZE = 65_536;
const SNAPSHOT_KEY = "db/0009/0000000000000001-0000000000000001.ltx";
/** Pages of 64 KiB that do not compress: sixteen of them are one piece of the stream. */
const LARGE = historyOf([{ commit: 128 }], { pageSize: PAGE_SIZE, kind: "noise" });
const LARGE_IMAGE = LARGE.image(1);

function sequence(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return concatBytes(await Array.fromAsync(chunks));
}

/** What was read ahead while nobody took anything. */
function quiet(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 0);
  });
}

async function openLarge() {
  const memory = new MemoryStore();
  await LARGE.put(replicaIn(memory), 9, 1);
  const store = countingStore(memory);
  const snapshot = await openSnapshot(replicaIn(store), LATEST);
  store.reset();
  return { memory, store, snapshot };
}

describe("a part of the database", () => {
  const history = historyOf([
    { commit: 9 },
    { commit: 12, changed: [2, 5] },
    { commit: 11, changed: [1, 7] },
  ]);

  test("is the same bytes as in the whole, wherever it begins and ends", async () => {
    const replica = replicaIn(new MemoryStore());
    await history.put(replica, 9, 1);
    await history.put(replica, 1, 2);
    await history.put(replica, 0, 3);
    const snapshot = await openSnapshot(replica, LATEST);
    const image = history.image(3);
    const aRange = fc
      .tuple(fc.nat({ max: image.length }), fc.nat({ max: image.length }))
      .map(([offset, length]) => ({ offset, length: Math.min(length, image.length - offset) }));
    await fc.assert(
      fc.asyncProperty(aRange, async (range) => {
        const { offset, length } = range;
        const part = await collect(streamDatabase(snapshot, { range }));
        expect(sameBytes(part, image.subarray(offset, offset + length))).toBe(true);
      }),
    );
  });

  test.each([
    ["at the border of two pieces", 16 * PAGE_SIZE - 3, 20],
    ["at the border of two pages", PAGE_SIZE - 1, 2],
    ["that is the last byte", 128 * PAGE_SIZE - 1, 1],
    ["of three pieces", 10 * PAGE_SIZE + 1, 30 * PAGE_SIZE],
  ])("%s is the same bytes", async (_name, offset, length) => {
    const { snapshot } = await openLarge();
    const part = await collect(streamDatabase(snapshot, { range: { offset, length } }));
    expect(sameBytes(part, LARGE_IMAGE.subarray(offset, offset + length))).toBe(true);
  });

  test("that is empty reads nothing", async () => {
    const { store, snapshot } = await openLarge();
    const stream = streamDatabase(snapshot, { range: { offset: 5_000, length: 0 } });
    expect(await collect(stream)).toHaveLength(0);
    expect(store.gets).toBe(0);
  });

  test("reads no pages but those that it lies in", async () => {
    const { store, snapshot } = await openLarge();
    const range = { offset: 5 * PAGE_SIZE + 100, length: PAGE_SIZE };
    const part = await collect(streamDatabase(snapshot, { range }));
    const expected = LARGE_IMAGE.subarray(range.offset, range.offset + range.length);
    expect(sameBytes(part, expected)).toBe(true);
    expect(store.gets).toBe(1);
    expect(store.bytesRead).toBeLessThan(2 * PAGE_SIZE + 1_000);
  });
});

describe("the whole database", () => {
  test("comes in order, in reads of about a mebibyte", async () => {
    const { store, snapshot } = await openLarge();
    expect(sameBytes(await collect(streamDatabase(snapshot)), LARGE_IMAGE)).toBe(true);
    // Sixteen frames that do not compress are a little more than a mebibyte: two reads a piece.
    expect({ gets: store.gets, lists: store.lists }).toEqual({ gets: 16, lists: 0 });
    expect(store.inFlightMax).toBe(6);
  });

  test("is fetched no faster than it is taken", async () => {
    const { store, snapshot } = await openLarge();
    const stream = streamDatabase(snapshot);
    expect(store.gets).toBe(0);
    await stream.next();
    await quiet();
    // The piece that was taken, and two ahead of it.
    expect(store.gets).toBe(6);
    await stream.next();
    await quiet();
    expect(store.gets).toBe(8);
    await stream.return(undefined);
    expect(store.gets).toBe(8);
  });

  test("out of many files is read six at a time", async () => {
    const changes = sequence(0, 11).map((n) => ({
      commit: 96,
      changed: sequence(1, 96).filter((pgno) => pgno % 12 === n),
    }));
    const history = historyOf([{ commit: 96 }, ...changes], { pageSize: PAGE_SIZE, kind: "noise" });
    const store = countingStore(new MemoryStore());
    for (let n = 1; n <= history.head; n++) await history.put(replicaIn(store), 0, n);
    const snapshot = await openSnapshot(replicaIn(store), LATEST);
    store.reset();
    expect(sameBytes(await collect(streamDatabase(snapshot)), history.image(13))).toBe(true);
    expect(store.inFlightMax).toBe(6);
    // In a piece of sixteen pages each of the twelve files has one or two, and those are neighbours.
    expect(store.gets).toBeLessThanOrEqual(6 * 12 + 6 * 4);
  });
});

test("the lock page is zeros, and no page is looked for in its place", async () => {
  const lock = 16_385;
  const places = new Map<number, { file: number; offset: number; size: number }>();
  const store = new MemoryStore();
  const neighbours = [lock - 1, lock + 1].map((pgno) => samplePage("words", pgno, PAGE_SIZE));
  for (const [file, page] of neighbours.entries()) {
    const pgno = lock - 1 + 2 * file;
    const { bytes } = rawFrame(pgno, page);
    places.set(pgno, { file, offset: 0, size: bytes.length });
    await store.put(`${pgno}`, bytes);
  }
  const { objects } = await store.list({ prefix: "" });
  const files = objects.map((object) => ({ ...L(0, 1, 1, 0), ...object }));
  const plan = { files, txid: txid(1), exact: true } as const;
  const place = { replica: replicaIn(store), doubtfulFiles: 0, timestampMs: 0 };
  const snapshot: Snapshot = {
    ...plan,
    ...place,
    plan,
    pageSize: PAGE_SIZE,
    commit: lock + 1,
    pages: new SparsePageMap(places),
  };
  const range = { offset: (lock - 2) * PAGE_SIZE, length: 3 * PAGE_SIZE };
  const part = await collect(streamDatabase(snapshot, { range }));
  const expected = concatBytes([neighbours[0], new Uint8Array(PAGE_SIZE), neighbours[1]]);
  expect(sameBytes(part, expected)).toBe(true);
});

describe("a stream that ends early", () => {
  test("cancels the reads under way when the caller stops, and begins no other", async () => {
    const { memory, snapshot } = await openLarge();
    const signals: (AbortSignal | undefined)[] = [];
    // Two reads make the first piece; those of the next never answer, but for being cancelled.
    const slow: ObjectStore["get"] = (key, options) => {
      throwIfAborted(options?.signal);
      if (signals.push(options?.signal) <= 2) return memory.get(key, options);
      return new Promise((_, reject) => {
        const cancel = () => reject(new ReplicaError("ABORTED", "cancelled"));
        options?.signal?.addEventListener("abort", cancel);
      });
    };
    const replica = { ...snapshot.replica, store: { ...snapshot.replica.store, get: slow } };
    const stream = streamDatabase({ ...snapshot, replica });
    await stream.next();
    await quiet();
    expect(signals).toHaveLength(6);
    await stream.return(undefined);
    await quiet();
    expect(signals).toHaveLength(6);
    expect(signals.every((signal) => signal?.aborted)).toBe(true);
  });

  test("is ABORTED when its signal fires, and reads no more", async () => {
    const { store, snapshot } = await openLarge();
    const controller = new AbortController();
    const stream = streamDatabase(snapshot, { signal: controller.signal });
    await stream.next();
    controller.abort();
    await expect(stream.next()).rejects.toMatchObject({ code: "ABORTED" });
    expect(store.gets).toBeLessThanOrEqual(6);
  });

  test("reads nothing when its signal fired before", async () => {
    const { store, snapshot } = await openLarge();
    const stream = streamDatabase(snapshot, { signal: AbortSignal.abort() });
    await expect(collect(stream)).rejects.toMatchObject({ code: "ABORTED" });
    expect(store.gets).toBe(0);
  });
});

describe("when retention deletes files in use", () => {
  const history = historyOf(
    [{ commit: 60 }, { commit: 60, changed: sequence(1, 60).filter((pgno) => pgno % 2 === 0) }],
    { pageSize: PAGE_SIZE, kind: "noise" },
  );

  async function openTwo() {
    const memory = new MemoryStore();
    await history.put(replicaIn(memory), 9, 1);
    const key = await history.put(replicaIn(memory), 0, 2);
    const store = countingStore(memory);
    const snapshot = await openSnapshot(replicaIn(store), LATEST);
    store.reset();
    return { memory, store, snapshot, key };
  }

  test("it plans again, once, and goes on with what covers them", async () => {
    const { memory, store, snapshot, key } = await openTwo();
    const stream = streamDatabase(snapshot);
    const pieces = [(await stream.next()).value ?? new Uint8Array()];
    await history.put(replicaIn(memory), 1, 2);
    await memory.delete([key]);
    for await (const piece of stream) pieces.push(piece);
    expect(sameBytes(concatBytes(pieces), history.image(2))).toBe(true);
    expect(store.lists).toBe(1);
  });

  test("it is VERSION_EXPIRED when nothing covers them", async () => {
    const { memory, snapshot, key } = await openTwo();
    await memory.delete([key]);
    await historyOf([{ commit: 1 }, { commit: 1 }, { commit: 1 }]).put(replicaIn(memory), 9, 1, 3);
    await expect(collect(streamDatabase(snapshot))).rejects.toMatchObject({
      code: "VERSION_EXPIRED",
      details: { neighbours: { before: "0000000000000001", after: "0000000000000003" } },
    });
  });

  test("it never goes on with another history that came to the same TXID", async () => {
    const { memory, snapshot, key } = await openTwo();
    await memory.delete([key, SNAPSHOT_KEY]);
    const other = historyOf([{ commit: 60 }, { commit: 59 }, { commit: 60 }], {
      pageSize: PAGE_SIZE,
    });
    // As large, by the same TXID, but of another time: three transactions passed off as two.
    const bytes = other.file(1, 3);
    new DataView(bytes.buffer).setBigUint64(24, 2n);
    await memory.put("db/0003/0000000000000001-0000000000000002.ltx", bytes);
    await expect(collect(streamDatabase(snapshot))).rejects.toMatchObject({
      code: "OBJECT_MISSING",
      message: expect.stringMatching(/TXID 0{15}2 were replaced by others .* ask again$/),
    });
  });
});

describe("refusals", () => {
  test("a damaged frame is CORRUPT_PAGE and names the file, after what is sound", async () => {
    const { memory, snapshot } = await openLarge();
    const bytes = LARGE.file(1, 1);
    bytes[(snapshot.pages.get(100)?.offset ?? 0) + 3] ^= 1;
    await memory.put(SNAPSHOT_KEY, bytes);
    const again = await openSnapshot(snapshot.replica, LATEST);
    // Page 100 is in the seventh piece: what comes before it is sound.
    const stream = streamDatabase(again);
    for (let piece = 0; piece < 6; piece++) {
      const { value } = await stream.next();
      const start = piece * 16 * PAGE_SIZE;
      const expected = LARGE_IMAGE.subarray(start, start + 16 * PAGE_SIZE);
      expect(sameBytes(value ?? new Uint8Array(), expected)).toBe(true);
    }
    await expect(stream.next()).rejects.toMatchObject({
      code: "CORRUPT_PAGE",
      message: `"${SNAPSHOT_KEY}" is damaged: the frame of page 100 holds page 101`,
    });
  });

  test("a page that no file holds is CORRUPT_PAGE, before anything of its piece comes", async () => {
    const history = historyOf([{ commit: 6 }, { commit: 6, changed: [1, 2, 3, 4, 6] }]);
    const replica = replicaIn(new MemoryStore());
    await history.put(replica, 9, 1);
    await history.put(replica, 0, 2);
    const { plan } = await openSnapshot(replica, LATEST);
    const withoutBase = { ...plan, files: plan.files.slice(1) };
    const snapshot = await openPlan(replica, withoutBase);
    await expect(streamDatabase(snapshot).next()).rejects.toMatchObject({
      code: "CORRUPT_PAGE",
      message: "page 5 of 6 is in none of the LTX files of its plan",
    });
  });
});
