/** The way to a cached page by its number, without asking where the page lies. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { PageCache } from "../../../shared/replica/page-cache.ts";
import { PageMap } from "../../../shared/replica/page-map.ts";

const PAGE_BYTES = 512;

function page(seed: number): Uint8Array {
  return new Uint8Array(PAGE_BYTES).fill(seed);
}

/** A cache that holds so many pages of one file. */
function cacheOf(pages: number): PageCache {
  const one = new PageCache({ bytesMax: 1_000_000 });
  one.set("a", 0, page(0));
  const first = one.bytes;
  one.set("a", 1, page(1));
  return new PageCache({ bytesMax: first + (pages - 1) * (one.bytes - first) });
}

/** Stands for a snapshot's locator: only which one it is counts here. */
function locator(): PageMap {
  return new PageMap(1);
}

/** Puts a page into the cache, and remembers it under a number. */
function put(cache: PageCache, pages: PageMap, pgno: number): void {
  const found = cache.set("a", pgno, page(pgno), true);
  cache.shortcutsOf(pages, 0).remember(pgno, { file: "a", offset: pgno }, found);
}

test("a page is given out by the number under which it was found, to that locator alone", () => {
  const cache = cacheOf(4);
  const pages = locator();
  put(cache, pages, 2);
  expect(cache.shortcutsOf(pages, 0).get(2)).toEqual({ page: page(2), isVerified: true });
  expect(cache.shortcutsOf(pages, 0).get(3)).toBeUndefined();
  expect(cache.shortcutsOf(locator(), 0).get(2)).toBeUndefined();
});

test("a page that has left the cache is not given out any more, whatever it left for", () => {
  const cache = cacheOf(3);
  const pages = locator();
  const shortcuts = cache.shortcutsOf(pages, 0);
  for (const pgno of [1, 2, 3]) put(cache, pages, pgno);
  cache.set("a", 4, page(4));
  expect(shortcuts.get(1)).toBeUndefined();
  cache.delete("a", 2);
  expect(shortcuts.get(2)).toBeUndefined();
  cache.set("a", 3, page(33), true);
  expect(shortcuts.get(3)).toBeUndefined();
  expect(shortcuts.count).toBe(0);
});

test("finding a page by its number is a use, so that others go before it", () => {
  const cache = cacheOf(3);
  const pages = locator();
  for (const pgno of [1, 2, 3]) put(cache, pages, pgno);
  cache.shortcutsOf(pages, 0).get(1);
  cache.set("a", 4, page(4));
  expect([1, 2, 3, 4].filter((offset) => cache.has("a", offset))).toEqual([1, 3, 4]);
});

test("what counts as verified hangs on how many files are doubtful: each number has its own", () => {
  const cache = cacheOf(3);
  const pages = locator();
  put(cache, pages, 1);
  expect(cache.shortcutsOf(pages, 1).get(1)).toBeUndefined();
  const found = { page: cache.get("a", 1)!.page, isVerified: false };
  cache.shortcutsOf(pages, 1).remember(1, { file: "a", offset: 1 }, found);
  expect(cache.shortcutsOf(pages, 1).get(1)?.isVerified).toBe(false);
  // It is not less verified in the cache for that.
  expect(cache.get("a", 1)?.isVerified).toBe(true);
});

test("nothing is remembered of a page that is not in the cache, or is another there", () => {
  const cache = cacheOf(3);
  const shortcuts = cache.shortcutsOf(locator(), 0);
  shortcuts.remember(1, { file: "a", offset: 1 }, { page: page(1), isVerified: true });
  cache.set("a", 2, page(2), true);
  shortcuts.remember(2, { file: "a", offset: 2 }, { page: page(22), isVerified: true });
  expect(shortcuts.count).toBe(0);
});

test("two locators and a plain list agree on every page, and remember no more than the cache holds", () => {
  const capacity = 5;
  const aStep = fc.record({
    kind: fc.constantFrom("set", "get", "delete", "remember", "find", "find"),
    offset: fc.nat({ max: 8 }),
    owner: fc.nat({ max: 1 }),
    pgno: fc.nat({ max: 6 }),
  });
  fc.assert(
    fc.property(fc.array(aStep, { minLength: 80, maxLength: 150 }), (steps) => {
      const cache = cacheOf(capacity);
      const owners = [locator(), locator()].map((pages) => cache.shortcutsOf(pages, 0));
      /** Oldest first; each with whom it was last remembered by, and as which page. */
      const model: { offset: number; seed: number; by?: number | undefined; pgno?: number }[] = [];
      for (const [seed, { kind, offset, owner, pgno }] of steps.entries()) {
        const at = model.findIndex((each) => each.offset === offset);
        const by = model.findIndex((each) => each.by === owner && each.pgno === pgno);
        const move = (index: number) => model.push(...model.splice(index, 1));
        if (kind === "set") {
          cache.set("a", offset, page(seed));
          if (at !== -1) model.splice(at, 1);
          model.push({ offset, seed });
          if (model.length > capacity) model.shift();
        } else if (kind === "delete") {
          cache.delete("a", offset);
          if (at !== -1) model.splice(at, 1);
        } else if (kind === "find") {
          expect(owners[owner].get(pgno)?.page[0]).toBe(by === -1 ? undefined : model[by].seed);
          if (by !== -1) move(by);
        } else {
          const found = cache.get("a", offset);
          expect(found?.page[0]).toBe(at === -1 ? undefined : model[at].seed);
          if (!found) continue;
          move(at);
          if (kind === "get") continue;
          owners[owner].remember(pgno, { file: "a", offset }, found);
          if (by !== -1 && by !== at) {
            const before = model.find((each) => each.by === owner && each.pgno === pgno)!;
            before.by = undefined;
          }
          Object.assign(model.at(-1)!, { by: owner, pgno });
        }
        const remembered = model.filter((each) => each.by !== undefined).length;
        expect(owners[0].count + owners[1].count).toBe(remembered);
        expect(remembered).toBeLessThanOrEqual(capacity);
      }
    }),
    { numRuns: 300 },
  );
});
