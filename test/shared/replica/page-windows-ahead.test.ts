/** A long scan: its windows begin before it gets there. */
import { beforeEach, expect, test } from "vitest";
import { PageCache } from "../../../shared/replica/page-cache.ts";
import { PageReader } from "../../../shared/replica/page-reader.ts";
import { openSnapshot } from "../../../shared/replica/snapshot.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { countingStore, type CountingStore } from "../../support/counting-store.ts";
import { holdingStore, type HoldingStore } from "../../support/held-reads.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";
import {
  anotherTurn,
  isRight,
  placeOf,
  scanUntil,
  TWO_FILE_PAGES,
  TWO_FILES,
} from "../../support/two-files.ts";

/** Of a cache of a megabyte, windows take an eighth. */
const CACHE_BYTES = 1_300_000;
const WINDOW_BYTES = CACHE_BYTES / 8;

let reads: HoldingStore;
let store: CountingStore;

beforeEach(async () => {
  const memory = new MemoryStore();
  reads = holdingStore(memory);
  store = countingStore(reads);
  await TWO_FILES.put(replicaIn(memory), 9, 1);
  await TWO_FILES.put(replicaIn(memory), 1, 2);
});

async function openReader(cache = new PageCache({ bytesMax: CACHE_BYTES })): Promise<PageReader> {
  const snapshot = await openSnapshot(replicaIn(store), { kind: "latest" }, { cache });
  store.reset();
  reads.reset();
  return new PageReader(snapshot, { cache });
}

test("has asked for each page before it gets there, two windows ahead and no more", async () => {
  const reader = await openReader();
  let usedBytes = 0;
  for (let pgno = 200; pgno <= TWO_FILE_PAGES; pgno++) {
    const { key, offset } = placeOf(reader, pgno);
    if (pgno > 900) expect(reads.timesAskedFor(key, offset)).toBe(1);
    if (!reader.resident(pgno)) await reader.load(pgno);
    expect(isRight(reader, pgno)).toBe(true);
    usedBytes += reader.snapshot.pages.get(pgno)!.size;
    expect(store.bytesRead - usedBytes).toBeLessThanOrEqual(2 * WINDOW_BYTES);
  }
  expect(store.bytesRead).toBeLessThanOrEqual(usedBytes);
  expect(store.inFlightMax).toBeLessThanOrEqual(6);
});

test("lets a window's requests leave while there are pages to use, and counts no wait for that", async () => {
  const reader = await openReader();
  let turns = 0;
  for (let pgno = 200; pgno <= TWO_FILE_PAGES; pgno++) {
    const { faults } = reader.stats;
    const { gets } = store;
    const isMissing = !reader.resident(pgno);
    const isTurn = isMissing && reader.resident(pgno) !== undefined;
    if (isMissing) await reader.load(pgno);
    // Whatever has to arrive has arrived.
    await anotherTurn();
    expect(isRight(reader, pgno)).toBe(true);
    // Behind the last page there is nothing to begin.
    if (!isTurn || pgno > TWO_FILE_PAGES - 300) continue;
    turns++;
    expect(store.gets).toBeGreaterThan(gets);
    expect(reader.stats.faults).toBe(faults);
  }
  expect(turns).toBeGreaterThan(5);
});

test("waits for the next window as it is under way, which is one wait more for all of it", async () => {
  const reader = await openReader();
  const from = await scanUntil(reader, 900);
  await reader.load(from);
  await anotherTurn();
  reads.isHolding = true;
  let next = from;
  while (reader.resident(next) || reader.comesAlong(next)) {
    if (!reader.resident(next)) await reader.load(next);
    next++;
  }
  // Its window was begun when the one before it came to be used.
  const { key, offset } = placeOf(reader, next);
  const loading = reader.load(next);
  expect(reader.comesAlong(next)).toBe(true);
  expect(reads.timesAskedFor(key, offset)).toBe(1);
  reads.releaseAll();
  await loading;
  expect(isRight(reader, next)).toBe(true);
  expect(reads.timesAskedFor(key, offset)).toBe(1);
  reader.close();
});

/** Fills a cache with what nobody here asks for. */
function driveOut(cache: PageCache): void {
  for (let offset = 0; offset < CACHE_BYTES / 1_024; offset++)
    cache.set("another file", offset, new Uint8Array(1_024));
}

test("gives a page as soon as it has been loaded, also where others drove out what came ahead and it came ahead again", async () => {
  const cache = new PageCache({ bytesMax: CACHE_BYTES });
  const reader = await openReader(cache);
  await scanUntil(reader, 900);
  await anotherTurn();
  driveOut(cache);
  let loads = 0;
  for (let pgno = 200; pgno <= TWO_FILE_PAGES; pgno++) {
    if (reader.resident(pgno)) continue;
    await reader.load(pgno);
    expect(isRight(reader, pgno)).toBe(true);
    loads++;
  }
  expect(loads).toBeGreaterThan(5);
  reader.close();
});

test("gives a page whose load began a window, whatever has been loaded beside that", async () => {
  const cache = new PageCache({ bytesMax: CACHE_BYTES });
  const reader = await openReader(cache);
  let turns = 0;
  for (let pgno = 200; pgno <= TWO_FILE_PAGES && turns < 3; pgno++) {
    if (reader.resident(pgno)) continue;
    const { faults } = reader.stats;
    const loading = reader.load(pgno);
    const isTurn = reader.stats.faults === faults;
    if (isTurn) {
      turns++;
      driveOut(cache);
      for (let other = 1; other < 12; other++) await reader.load(other);
    }
    await loading;
    expect(isRight(reader, pgno)).toBe(true);
  }
  expect(turns).toBe(3);
  reader.close();
});
