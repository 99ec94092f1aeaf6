/** Loads of one reader that run side by side, and a cache that others fill at the same time. */
import { beforeEach, describe, expect, test } from "vitest";
import { PageCache } from "../../../shared/replica/page-cache.ts";
import { PageReader } from "../../../shared/replica/page-reader.ts";
import { openSnapshot } from "../../../shared/replica/snapshot.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { countingStore, type CountingStore } from "../../support/counting-store.ts";
import { patched, sameBytes } from "../../support/ltx-fixtures.ts";
import { historyOf } from "../../support/page-history.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const KEY = "db/0009/0000000000000001-0000000000000001.ltx";
const PAGES = 1_000;
const HISTORY = historyOf([{ commit: PAGES }], { kind: "noise", pageSize: 1_024 });

let memory: MemoryStore;
let store: CountingStore;
let cache: PageCache;

beforeEach(async () => {
  memory = new MemoryStore();
  store = countingStore(memory);
  await HISTORY.put(replicaIn(memory), 9, 1);
});

async function openReader(bytesMax = 10_000_000): Promise<PageReader> {
  cache = new PageCache({ bytesMax });
  const snapshot = await openSnapshot(replicaIn(store), { kind: "latest" }, { cache });
  store.reset();
  return new PageReader(snapshot, { cache });
}

function expectPage(reader: PageReader, pgno: number): void {
  expect(sameBytes(reader.resident(pgno) ?? new Uint8Array(), HISTORY.page(1, pgno))).toBe(true);
}

describe("loads side by side", () => {
  test("of one page are one read", async () => {
    const reader = await openReader();
    await Promise.all([500, 500, 500].map((pgno) => reader.load(pgno)));
    expectPage(reader, 500);
    expect(store.gets).toBe(1);
    expect(reader.stats.faults).toBe(3);
  });

  test("of forty pages have six reads in flight", async () => {
    const reader = await openReader();
    const pgnos = Array.from({ length: 40 }, (_, n) => 200 + 17 * n);
    await Promise.all(pgnos.map((pgno) => reader.load(pgno)));
    for (const pgno of pgnos) expectPage(reader, pgno);
    expect(store.inFlightMax).toBe(6);
    expect(store.gets).toBe(40);
  });

  test("of a page that another's window covers wait for it", async () => {
    const reader = await openReader();
    await reader.load(500);
    await Promise.all([reader.load(501), reader.load(502)]);
    expectPage(reader, 501);
    expectPage(reader, 502);
    expect(store.gets).toBe(2);
  });

  test("do not fail because another was cancelled", async () => {
    const reader = await openReader();
    const controller = new AbortController();
    const cancelled = reader.load(500, controller.signal);
    const other = reader.load(500);
    controller.abort();
    await Promise.allSettled([cancelled]);
    await other;
    expectPage(reader, 500);
  });

  test("plan again once together when their file goes", async () => {
    const reader = await openReader();
    await HISTORY.put(replicaIn(memory), 9, 1);
    await Promise.all([300, 500, 700].map((pgno) => reader.load(pgno)));
    for (const pgno of [300, 500, 700]) expectPage(reader, pgno);
    expect(store.lists).toBe(1);
  });
});

describe("a cache that holds next to nothing", () => {
  test("still leaves the page that was asked for at hand, whoever fills it", async () => {
    const reader = await openReader(10);
    await reader.load(500);
    cache.set("somebody else's", 0, new Uint8Array(1_024));
    expectPage(reader, 500);
  });

  test("leaves the pages of eight loads at hand, and no more", async () => {
    const reader = await openReader(10);
    const pgnos = Array.from({ length: 12 }, (_, n) => 200 + 17 * n);
    for (const pgno of pgnos) await reader.load(pgno);
    for (const pgno of pgnos.slice(-8)) expectPage(reader, pgno);
    expect(reader.resident(pgnos[0])).toBeUndefined();
  });
});

test("a damaged page is no error until it is the one that is asked for", async () => {
  const sound = await openReader();
  const { offset } = sound.snapshot.pages.get(502)!;
  await memory.put(KEY, patched(HISTORY.file(1, 1), offset, 0, 0, 9));
  const reader = await openReader();
  // Page 502 comes along with the window of page 501.
  for (const pgno of [500, 501]) {
    await reader.load(pgno);
    expectPage(reader, pgno);
  }
  expect(reader.resident(502)).toBeUndefined();
  await expect(reader.load(502)).rejects.toMatchObject({
    code: "CORRUPT_PAGE",
    message: expect.stringContaining(`"${KEY}" is damaged: the frame of page 502`),
  });
});
