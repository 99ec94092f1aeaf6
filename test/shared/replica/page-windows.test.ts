/** What a load waits for, what comes in the background, and what becomes of that. */
import { beforeEach, describe, expect, test } from "vitest";
import { ReplicaError } from "../../../shared/errors.ts";
import { PageCache } from "../../../shared/replica/page-cache.ts";
import { PageReader } from "../../../shared/replica/page-reader.ts";
import { openSnapshot, reopenSnapshot } from "../../../shared/replica/snapshot.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { countingStore, type CountingStore } from "../../support/counting-store.ts";
import { holdingStore, type HeldRead, type HoldingStore } from "../../support/held-reads.ts";
import { patched } from "../../support/ltx-fixtures.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";
import {
  anotherTurn,
  isRight,
  NEWER_KEY,
  pgnosUpTo,
  placeOf,
  scanUntil,
  TWO_FILE_PAGES,
  TWO_FILES,
} from "../../support/two-files.ts";

let memory: MemoryStore;
let reads: HoldingStore;
let store: CountingStore;

beforeEach(async () => {
  memory = new MemoryStore();
  reads = holdingStore(memory);
  store = countingStore(reads);
  await TWO_FILES.put(replicaIn(memory), 9, 1);
  await TWO_FILES.put(replicaIn(memory), 1, 2);
});

async function openReader(bytesMax = 10_000_000): Promise<PageReader> {
  const cache = new PageCache({ bytesMax });
  const snapshot = await openSnapshot(replicaIn(store), { kind: "latest" }, { cache });
  store.reset();
  reads.reset();
  return new PageReader(snapshot, { cache });
}

/** The read that waits and has a page in it. */
function readOf(reader: PageReader, pgno: number): HeldRead | undefined {
  const { key, offset } = placeOf(reader, pgno);
  return reads.held.find(
    (read) => read.key === key && offset >= read.offset && offset < read.offset + read.length,
  );
}

/** A window of several reads of which none has been answered: the page that was asked for, and its load. */
async function heldWindow(reader: PageReader): Promise<{ asked: number; loading: Promise<void> }> {
  const asked = await scanUntil(reader, 700);
  reads.isHolding = true;
  const loading = reader.load(asked);
  await reads.waiting(4);
  return { asked, loading };
}

/** A page that comes along, in another read than the one that was asked for. */
function otherPage(reader: PageReader, asked: number, skip = 0): number {
  const others = pgnosUpTo(TWO_FILE_PAGES).filter(
    (pgno) => readOf(reader, pgno) !== undefined && readOf(reader, pgno) !== readOf(reader, asked),
  );
  return others[skip];
}

describe("a load", () => {
  test("waits for the read that brings its page, and for no other", async () => {
    const reader = await openReader();
    const { asked, loading } = await heldWindow(reader);
    readOf(reader, asked)?.release();
    await loading;
    expect(isRight(reader, asked)).toBe(true);
    expect(reads.held.length).toBeGreaterThanOrEqual(3);
    reader.close();
  });

  test("of a page that is under way waits for the read that brings it, and asks for nothing", async () => {
    const reader = await openReader();
    const { asked, loading } = await heldWindow(reader);
    const other = otherPage(reader, asked);
    let isThere = false;
    const second = reader.load(other).then(() => (isThere = true));
    readOf(reader, asked)?.release();
    await loading;
    await anotherTurn();
    expect(isThere).toBe(false);
    readOf(reader, other)?.release();
    await second;
    expect(isRight(reader, other)).toBe(true);
    const { key, offset } = placeOf(reader, other);
    expect(reads.timesAskedFor(key, offset)).toBe(1);
    reader.close();
  });

  test("leaves the rest to come by itself, which costs no wait then", async () => {
    const reader = await openReader();
    const { asked, loading } = await heldWindow(reader);
    const others = pgnosUpTo(TWO_FILE_PAGES).filter((pgno) => readOf(reader, pgno) !== undefined);
    reads.releaseAll();
    await loading;
    // A turn for the reads, and one for what has arrived to be decoded.
    for (let turn = 0; turn < 4; turn++) await anotherTurn();
    expect(others).toContain(asked);
    const { faults } = reader.stats;
    for (const pgno of others) expect(isRight(reader, pgno)).toBe(true);
    expect(reader.stats.faults).toBe(faults);
  });

  test("of a page in a window that somebody has waited for is no fetch of its own", async () => {
    const reader = await openReader();
    expect(reader.comesAlong(200)).toBe(false);
    const { asked, loading } = await heldWindow(reader);
    expect(reader.comesAlong(otherPage(reader, asked))).toBe(true);
    reads.releaseAll();
    await loading;
    expect(reader.comesAlong(asked)).toBe(true);
    // The last pages came along with the index of their file.
    expect(reader.comesAlong(TWO_FILE_PAGES - 100)).toBe(false);
  });
});

describe("a read that only brings what comes along", () => {
  const broken = new ReplicaError("R2_ERROR", "the bucket is out of order");

  test("may fail: nobody is told, and who needs it asks for it", async () => {
    const reader = await openReader();
    const { asked, loading } = await heldWindow(reader);
    const other = otherPage(reader, asked);
    readOf(reader, other)?.fail(broken);
    await anotherTurn();
    // The others of its kind were cancelled with it.
    expect(reads.held).toEqual([readOf(reader, asked)]);
    reads.releaseAll();
    await loading;
    expect(isRight(reader, asked)).toBe(true);
    const { gets } = store;
    await reader.load(other);
    expect(isRight(reader, other)).toBe(true);
    expect(store.gets).toBeGreaterThan(gets);
  });

  test("may fail while somebody waits for it, who then asks for it", async () => {
    const reader = await openReader();
    const { asked, loading } = await heldWindow(reader);
    const other = otherPage(reader, asked);
    const second = reader.load(other);
    readOf(reader, other)?.fail(broken);
    reads.isHolding = false;
    await second;
    expect(isRight(reader, other)).toBe(true);
    expect(readOf(reader, asked)?.isCancelled).toBe(false);
    reads.releaseAll();
    await loading;
  });

  test("may bring damaged pages, which shows when they are asked for", async () => {
    const probe = await openReader();
    const { offset } = placeOf(probe, 760);
    await memory.put(NEWER_KEY, patched(TWO_FILES.file(2, 2), offset, 0, 0, 9));
    const reader = await openReader();
    expect(placeOf(reader, 760).key).toBe(NEWER_KEY);
    const asked = await scanUntil(reader, 700);
    await reader.load(asked);
    await anotherTurn();
    expect(isRight(reader, 759)).toBe(true);
    expect(reader.resident(760)).toBeUndefined();
    await expect(reader.load(760)).rejects.toMatchObject({ code: "CORRUPT_PAGE" });
  });
});

/** What the newer file holds is in the snapshot then. */
async function compact(): Promise<void> {
  await TWO_FILES.put(replicaIn(memory), 9, 1, 2);
  await memory.delete([NEWER_KEY]);
}

describe("an object that has gone", () => {
  test("is no reason to plan again as long as its pages only come along", async () => {
    const reader = await openReader();
    const asked = await scanUntil(reader, 700, (pgno) => placeOf(reader, pgno).key !== NEWER_KEY);
    const { snapshot } = reader;
    const gone = pgnosUpTo(TWO_FILE_PAGES).find(
      (pgno) => pgno > asked && !reader.resident(pgno) && placeOf(reader, pgno).key === NEWER_KEY,
    )!;
    await compact();
    await reader.load(asked);
    await anotherTurn();
    expect(isRight(reader, asked)).toBe(true);
    expect(store.lists).toBe(0);
    expect(reader.snapshot).toBe(snapshot);
    await reader.load(gone);
    expect(isRight(reader, gone)).toBe(true);
    expect(store.lists).toBe(1);
    expect(reader.snapshot).not.toBe(snapshot);
  });

  test("gives the same rows to a scan that meets it, and is planned again once", async () => {
    const reader = await openReader(1_000_000);
    await scanUntil(reader, 700);
    await compact();
    for (let pgno = 701; pgno <= TWO_FILE_PAGES; pgno++) {
      if (!reader.resident(pgno)) await reader.load(pgno);
      expect(isRight(reader, pgno)).toBe(true);
    }
    expect(store.lists).toBe(1);
  });
});

describe("a reader that is closed", () => {
  test("cancels what is under way, that of a load too, and nothing is left over", async () => {
    const reader = await openReader();
    const { asked, loading } = await heldWindow(reader);
    const waiting = [loading, reader.load(otherPage(reader, asked))];
    const { held } = reads;
    const { gets } = store;
    reader.close();
    for (const load of waiting) await expect(load).rejects.toMatchObject({ code: "ABORTED" });
    await anotherTurn();
    expect(held.length).toBeGreaterThanOrEqual(4);
    expect(held.every(({ isCancelled }) => isCancelled)).toBe(true);
    expect(reads.held).toEqual([]);
    expect(store.gets).toBe(gets);
  });

  test("reads nothing any more, and still has what it has", async () => {
    const reader = await openReader();
    const asked = await scanUntil(reader, 700);
    const stats = { ...reader.stats, requests: store.gets };
    {
      using closing = reader;
      expect(closing.snapshot.commit).toBe(TWO_FILE_PAGES);
    }
    await expect(reader.load(asked)).rejects.toMatchObject({ code: "ABORTED" });
    expect(isRight(reader, asked - 1)).toBe(true);
    expect(reader.stats).toEqual(stats);
  });

  test("reads nothing either from what was planned again meanwhile", async () => {
    const cache = new PageCache({ bytesMax: 10_000_000 });
    const snapshot = await openSnapshot(replicaIn(store), { kind: "latest" }, { cache });
    const begun = Promise.withResolvers<void>();
    const planned = Promise.withResolvers<void>();
    const reader = new PageReader(snapshot, {
      cache,
      reopen: async (gone, options) => {
        begun.resolve();
        await planned.promise;
        return await reopenSnapshot(gone, options);
      },
    });
    await compact();
    const gone = pgnosUpTo(TWO_FILE_PAGES).find(
      (pgno) => pgno > 700 && placeOf(reader, pgno).key === NEWER_KEY,
    )!;
    const loading = reader.load(gone);
    await begun.promise;
    reader.close();
    planned.resolve();
    await expect(loading).rejects.toMatchObject({ code: "ABORTED" });
    expect(reader.resident(gone)).toBeUndefined();
  });

  test("leaves one that was cancelled by its caller as it was cancelled", async () => {
    const reader = await openReader();
    const asked = await scanUntil(reader, 700);
    const controller = new AbortController();
    reads.isHolding = true;
    const loading = reader.load(asked, controller.signal);
    await reads.waiting(4);
    controller.abort();
    await expect(loading).rejects.toMatchObject({ code: "ABORTED" });
    await anotherTurn();
    expect(reads.held).toEqual([]);
    reads.releaseAll();
    await reader.load(asked);
    expect(isRight(reader, asked)).toBe(true);
  });
});
