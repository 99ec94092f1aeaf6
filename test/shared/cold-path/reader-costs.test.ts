/** What queries cost a page reader: the pages that SQLite reads, out of a store that counts. */
import { beforeAll, expect, test } from "vitest";
import { updateBundle } from "../../../shared/replica/edge-bundle/update-bundle.ts";
import { storeSink } from "../../../shared/replica/edge-bundle/bundle-sink.ts";
import { LocationCache } from "../../../shared/replica/edge-bundle/location-cache.ts";
import { snapshotOf } from "../../../shared/replica/edge-bundle/read-bundle-head.ts";
import { PageCache } from "../../../shared/replica/page-cache.ts";
import type { PageLocator } from "../../../shared/replica/page-locator.ts";
import { PageReader } from "../../../shared/replica/page-reader.ts";
import { asTreePage } from "../../../shared/replica/prefetch/tree-page.ts";
import { openBundle } from "../../support/bundle-fixtures.ts";
import { sameBytes } from "../../support/ltx-fixtures.ts";
import { agedDatabase, freshDatabase } from "../../support/prefetch-databases.ts";
import { tracedImage, type TracedImage } from "../../support/traced-replica.ts";

const SLACK_BYTES = 64 * 1024;
const MEBIBYTE = 1024 * 1024;

let fresh: TracedImage;
let aged: TracedImage;

beforeAll(async () => {
  fresh = await tracedImage(freshDatabase());
  aged = await tracedImage(agedDatabase());
});

/** A cache with the interior pages, as whoever reads through an edge bundle has them. */
async function warmCache({ database, snapshot }: TracedImage): Promise<PageCache> {
  const cache = new PageCache({ bytesMax: 40_000_000 });
  for (let pgno = 1; pgno <= database.pageCount; pgno++) {
    const isInterior = asTreePage(pgno, database.page(pgno))?.isInterior === true;
    if (pgno === 1 || isInterior) await new PageReader(snapshot, { cache }).load(pgno);
  }
  return cache;
}

interface Cost {
  readonly rounds: number;
  readonly requests: number;
  readonly bytes: number;
  /** Bytes of the frames that the query used and had to fetch. */
  readonly usedBytes: number;
  readonly inFlightMax: number;
}

/** Reads the pages that SQLite reads for a query, and sees to it that they are right. */
async function run(
  source: TracedImage,
  sql: string,
  cache?: PageCache,
  opened = source.snapshot,
): Promise<Cost> {
  const { database, snapshot, store } = source;
  const pages = cache ?? (await warmCache(source));
  const reader = new PageReader(opened, { cache: pages });
  const trace = database.trace(sql);
  const onlooker = new PageReader(snapshot, { cache: pages });
  const before = new Set(trace.filter((pgno) => onlooker.resident(pgno)));
  store.reset();
  for (const pgno of trace) {
    if (!reader.resident(pgno)) await reader.load(pgno);
    expect(sameBytes(reader.resident(pgno)!, database.page(pgno))).toBe(true);
  }
  const used = [...new Set(trace)].filter((pgno) => !before.has(pgno));
  const usedBytes = used.reduce((sum, pgno) => sum + snapshot.pages.get(pgno)!.size, 0);
  const { rounds, gets: requests, bytesRead: bytes, inFlightMax } = store;
  expect(bytes).toBeLessThanOrEqual(2 * usedBytes + SLACK_BYTES);
  expect(inFlightMax).toBeLessThanOrEqual(6);
  return { rounds, requests, bytes, usedBytes, inFlightMax };
}

test("one row by its key is one read of one frame", async () => {
  const cost = await run(fresh, "SELECT * FROM items WHERE id = 12345");
  expect(cost).toMatchObject({ rounds: 1, requests: 1, bytes: cost.usedBytes });
});

test("one row by another index is two reads of one frame each", async () => {
  const cost = await run(fresh, "SELECT length(body) FROM items WHERE email >= 'm' LIMIT 1");
  expect(cost).toMatchObject({ rounds: 2, requests: 2, bytes: cost.usedBytes });
});

test("a hundred rows in order are two rounds, however scattered the leaves are", async () => {
  const sql = "SELECT sum(length(body)) FROM items WHERE id BETWEEN 12000 AND 12099";
  for (const source of [fresh, aged]) expect((await run(source, sql)).rounds).toBe(2);
});

test("twenty rows by an index are a read each, six at a time", async () => {
  const sql = "SELECT sum(length(body)) FROM items WHERE category = 77";
  const { rounds, requests, inFlightMax } = await run(fresh, sql);
  expect(inFlightMax).toBe(6);
  expect(requests).toBeLessThanOrEqual(1 + 20 + 2);
  expect(rounds).toBeLessThanOrEqual(6);
});

test("counting the rows reads the leaves of the smallest index, six at a time, and nothing else", async () => {
  const { rounds, requests, bytes, usedBytes } = await run(fresh, "SELECT count(*) FROM items");
  expect(bytes).toBeLessThan(1.3 * usedBytes);
  // They lie apart, as the four trees grew together: no read could have two of them.
  expect(rounds).toBeLessThanOrEqual(1 + Math.ceil(requests / 6) + 1);
});

test("a full scan takes reads of a mebibyte, side by side", async () => {
  const sql = "SELECT sum(length(body)) FROM items";
  const { rounds, requests, bytes, usedBytes, inFlightMax } = await run(fresh, sql);
  expect(inFlightMax).toBeGreaterThanOrEqual(5);
  expect(usedBytes).toBeGreaterThan(7.5 * MEBIBYTE);
  expect(bytes).toBeLessThan(1.2 * usedBytes);
  expect(requests).toBeLessThanOrEqual(45);
  expect(rounds).toBeLessThanOrEqual(12);
});

test("a full scan of an aged table keeps six reads at work", async () => {
  const { rounds, requests } = await run(aged, "SELECT sum(length(body)) FROM items");
  expect(requests / rounds).toBeGreaterThan(5);
});

test("with nothing at hand, the interior pages are one round each before the rows", async () => {
  const cache = new PageCache({ bytesMax: 40_000_000 });
  const sql = "SELECT sum(length(body)) FROM items WHERE id BETWEEN 12000 AND 12099";
  expect((await run(fresh, sql, cache)).rounds).toBeLessThanOrEqual(2 + 2);
});

test("a small cache is not flooded by one scan: its windows are an eighth of it", async () => {
  const cache = new PageCache({ bytesMax: 2_000_000 });
  const { bytes, usedBytes } = await run(fresh, "SELECT sum(length(body)) FROM items", cache);
  expect(bytes).toBeLessThan(1.3 * usedBytes);
});

test("through an edge bundle all of that costs no more, beginning with nothing but its head", async () => {
  const { replica } = fresh.snapshot;
  await updateBundle(replica, storeSink(replica));
  const queries: [string, number][] = [
    ["SELECT * FROM items WHERE id = 12345", 1],
    ["SELECT length(body) FROM items WHERE email >= 'm' LIMIT 1", 2],
    ["SELECT sum(length(body)) FROM items WHERE id BETWEEN 12000 AND 12099", 2],
    ["SELECT sum(length(body)) FROM items WHERE category = 77", 6],
    ["SELECT sum(length(body)) FROM items", 12],
  ];
  for (const [sql, rounds] of queries) {
    const cache = new PageCache({ bytesMax: 40_000_000 });
    const head = await openBundle(replica, new LocationCache({ bytesMax: 8_000_000 }));
    const opened = snapshotOf(replica, head);
    const cost = await run(fresh, sql, cache, opened);
    expect(cost.rounds).toBeLessThanOrEqual(rounds);
  }
});

test("a row through an index opens no pages of a bundle's head but those on its way", async () => {
  const { replica } = fresh.snapshot;
  await updateBundle(replica, storeSink(replica));
  const head = await openBundle(replica, new LocationCache({ bytesMax: 8_000_000 }));
  const { locator } = head;
  const opened = new Set<number>();
  const pages: PageLocator = {
    sizeBytes: 0,
    get: (pgno) => locator.get(pgno),
    find: (pgno, read) => locator.find(pgno, read),
    atHand: (pgno) => {
      const found = locator.atHand(pgno);
      if (found) opened.add(pgno);
      return found;
    },
  };
  const cache = new PageCache({ bytesMax: 40_000_000 });
  const reader = new PageReader({ ...snapshotOf(replica, head), pages }, { cache });
  const trace = fresh.database.trace("SELECT length(body) FROM items WHERE email >= 'm' LIMIT 1");
  for (const pgno of trace) {
    if (!reader.resident(pgno)) await reader.load(pgno);
    expect(reader.resident(pgno)).toBeDefined();
  }
  // Page 1 says which table the index belongs to.
  expect([...opened.difference(new Set(trace))]).toEqual([1]);
  expect(head.content.hot.length).toBeGreaterThan(2 * opened.size);
});
