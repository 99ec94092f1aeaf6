/** Pages of one snapshot in a cache, found the second time without asking for their places. */
import { beforeEach, expect, test } from "vitest";
import { pageChecksum32 } from "../../../shared/ltx/checksum.ts";
import { OpenedPages } from "../../../shared/replica/opened-pages.ts";
import { PageCache } from "../../../shared/replica/page-cache.ts";
import type { FoundPage, PageLocation, PageLocator } from "../../../shared/replica/page-locator.ts";
import { openSnapshot, type Snapshot } from "../../../shared/replica/snapshot.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import type { Etag } from "../../../shared/storage/object-store.ts";
import { historyOf } from "../../support/page-history.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const PAGES = 60;
const HISTORY = historyOf([{ commit: PAGES }, { commit: PAGES, changed: [7] }], { kind: "noise" });

/** Asks another one, and counts how often; says or hides what the pages have to match. */
class Counted implements PageLocator {
  readonly sizeBytes = 0;
  asked = 0;
  readonly hot = new Set<number>();
  readonly #pages: PageLocator;
  readonly #hasChecksums: boolean;

  constructor(pages: PageLocator, { hasChecksums = true } = {}) {
    this.#pages = pages;
    this.#hasChecksums = hasChecksums;
  }

  get(pgno: number): PageLocation | null | undefined {
    this.asked++;
    const location = this.#pages.get(pgno);
    if (!location) return location;
    const checksum = this.#hasChecksums ? pageChecksum32(pgno, HISTORY.page(2, pgno)) : undefined;
    return { ...location, checksum };
  }

  atHand(pgno: number): FoundPage | undefined {
    if (!this.hot.has(pgno)) return undefined;
    return { location: this.get(pgno)!, page: HISTORY.page(2, pgno).slice() };
  }

  find(pgno: number): Promise<FoundPage> {
    return Promise.resolve({ location: this.get(pgno) ?? null });
  }
}

let cache: PageCache;
let snapshot: Snapshot;

beforeEach(async () => {
  const memory = new MemoryStore();
  await HISTORY.put(replicaIn(memory), 9, 1);
  await HISTORY.put(replicaIn(memory), 0, 2);
  cache = new PageCache({ bytesMax: 1_000_000 });
  const opened = await openSnapshot(replicaIn(memory), { kind: "latest" });
  snapshot = { ...opened, doubtfulFiles: 0 };
});

/** Puts a page where it lies, as one that nobody has verified. */
function put(opened: OpenedPages, pgno: number, page = HISTORY.page(2, pgno)): void {
  opened.keep(opened.snapshot.pages.get(pgno)!, page.slice(), false);
}

test("a page's place is asked for once, and again when the page had left the cache", () => {
  const pages = new Counted(snapshot.pages);
  const opened = new OpenedPages({ ...snapshot, pages }, cache);
  put(opened, 9);
  expect(opened.get(9)).toEqual({ page: HISTORY.page(2, 9), isVerified: true });
  pages.asked = 0;
  for (let time = 0; time < 5; time++) opened.get(9);
  expect(pages.asked).toBe(0);
  // Of the next query, for which another request has made its own snapshot of what is opened.
  expect(new OpenedPages({ ...snapshot, pages }, cache).get(9)?.isVerified).toBe(true);
  expect(pages.asked).toBe(0);
  const small = new PageCache({ bytesMax: 1 });
  const other = new OpenedPages({ ...snapshot, pages }, small);
  for (const pgno of [9, 10]) {
    put(other, pgno);
    other.get(pgno);
  }
  pages.asked = 0;
  expect(other.get(9)).toBeUndefined();
  expect(pages.asked).toBe(1);
});

test("a page without a checksum is not verified the second time either, whoever verified it", () => {
  const opened = new OpenedPages({ ...snapshot, pages: new Counted(snapshot.pages) }, cache);
  const hidden = new Counted(snapshot.pages, { hasChecksums: false });
  const blind = new OpenedPages({ ...snapshot, pages: hidden }, cache);
  put(opened, 9);
  expect(opened.get(9)?.isVerified).toBe(true);
  for (let time = 0; time < 3; time++) {
    expect(blind.get(9)?.isVerified).toBe(false);
    expect(opened.get(9)?.isVerified).toBe(true);
  }
});

test("a page of a doubtful file is not verified the second time either", () => {
  const pages = new Counted(snapshot.pages);
  const sure = new OpenedPages({ ...snapshot, pages }, cache);
  const doubtful = new OpenedPages({ ...snapshot, pages, doubtfulFiles: 1 }, cache);
  for (const pgno of [7, 9]) put(sure, pgno);
  for (let time = 0; time < 3; time++) {
    // The file that page 7 was changed in is behind the one that is doubtful.
    expect([7, 9].map((pgno) => doubtful.get(pgno)?.isVerified)).toEqual([true, false]);
    expect([7, 9].map((pgno) => sure.get(pgno)?.isVerified)).toEqual([true, true]);
  }
});

test("a page that was looked at before its checksum was known is held against it then", () => {
  const hidden = new Counted(snapshot.pages, { hasChecksums: false });
  const blind = new OpenedPages({ ...snapshot, pages: hidden }, cache);
  const opened = new OpenedPages({ ...snapshot, pages: new Counted(snapshot.pages) }, cache);
  put(blind, 9);
  put(blind, 10, HISTORY.page(2, 11));
  expect([9, 10].map((pgno) => blind.get(pgno)?.isVerified)).toEqual([false, false]);
  expect(opened.get(9)?.isVerified).toBe(true);
  expect(opened.get(10)).toBeUndefined();
  // It is another page: nobody gets it any more.
  expect(blind.get(10)).toBeUndefined();
});

test("a page is fetched again under a plan that was opened anew, and the one before keeps its own", () => {
  const before = new OpenedPages({ ...snapshot, pages: new Counted(snapshot.pages) }, cache);
  put(before, 7);
  expect(before.get(7)).toBeDefined();
  const files = snapshot.files.map((file) => ({ ...file, etag: "another" as Etag }));
  const anew = { ...snapshot, files, pages: new Counted(snapshot.pages) };
  expect(new OpenedPages(anew, cache).get(7)).toBeUndefined();
  expect(before.get(7)).toBeDefined();
});

test("a hot page is taken out of its locator anew when it has left the cache", () => {
  const pages = new Counted(snapshot.pages);
  pages.hot.add(9);
  const small = new PageCache({ bytesMax: 1 });
  const opened = new OpenedPages({ ...snapshot, pages }, small);
  for (let time = 0; time < 2; time++) {
    pages.asked = 0;
    expect(opened.get(9)).toEqual({ page: HISTORY.page(2, 9), isVerified: true });
    expect(pages.asked).toBeGreaterThan(0);
    put(opened, 10);
  }
});

test("looking at a page is a use of it", () => {
  const pages = new Counted(snapshot.pages);
  const one = new PageCache({ bytesMax: 1_000_000 });
  one.set("a", 0, HISTORY.page(2, 9));
  // Two pages of one file, and not a third.
  const two = new PageCache({ bytesMax: 2 * one.bytes });
  const opened = new OpenedPages({ ...snapshot, pages }, two);
  for (const pgno of [9, 10]) {
    put(opened, pgno);
    opened.get(pgno);
  }
  expect(opened.peek(9)).toBeDefined();
  put(opened, 11);
  expect(opened.get(9)).toBeDefined();
  expect(opened.get(10)).toBeUndefined();
});
