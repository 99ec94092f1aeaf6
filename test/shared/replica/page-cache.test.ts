import * as fc from "fast-check";
import { expect, test } from "vitest";
import { PageCache } from "../../../shared/replica/page-cache.ts";

const PAGE_BYTES = 512;

function page(seed: number): Uint8Array {
  return new Uint8Array(PAGE_BYTES).fill(seed);
}

/** What one more entry is counted as. */
function entryBytes(): number {
  const cache = new PageCache({ bytesMax: 1_000_000 });
  cache.set("a", 0, page(1));
  const before = cache.bytes;
  cache.set("a", 1, page(1));
  return cache.bytes - before;
}

/** What the first entry of a file is counted as beside that. */
function fileBytes(): number {
  const cache = new PageCache({ bytesMax: 1_000_000 });
  cache.set("a", 0, page(1));
  return cache.bytes - entryBytes();
}

/** What entries are counted as, each as the name of its file, which is one letter, and its offset. */
function bytesOf(keys: readonly string[]): number {
  return keys.length * entryBytes() + new Set(keys.map(([file]) => file)).size * fileBytes();
}

test("a page is found under its file and its offset, and under nothing else", () => {
  const cache = new PageCache({ bytesMax: 1_000_000 });
  cache.set("v1 a", 100, page(1));
  expect(cache.get("v1 a", 100)?.page).toEqual(page(1));
  expect(cache.has("v1 a", 100)).toBe(true);
  for (const [file, offset] of [
    ["v2 a", 100],
    ["v1 a", 101],
    ["v1 b", 100],
    ["1 a", 100],
  ] as const) {
    expect(cache.get(file, offset)).toBeUndefined();
    expect(cache.has(file, offset)).toBe(false);
  }
});

test("the same place twice is kept once, with what came last", () => {
  const cache = new PageCache({ bytesMax: 1_000_000 });
  cache.set("a", 0, page(1));
  cache.set("a", 0, page(2));
  expect(cache.get("a", 0)?.page).toEqual(page(2));
  expect(cache.bytes).toBe(fileBytes() + entryBytes());
});

test("what was not used for longest goes first", () => {
  const cache = new PageCache({ bytesMax: fileBytes() + 3 * entryBytes() });
  for (const offset of [1, 2, 3]) cache.set("a", offset, page(offset));
  cache.get("a", 1);
  cache.set("a", 4, page(4));
  expect([1, 2, 3, 4].filter((offset) => cache.has("a", offset))).toEqual([1, 3, 4]);
});

test("looking whether a page is there does not count as a use", () => {
  const cache = new PageCache({ bytesMax: fileBytes() + 2 * entryBytes() });
  cache.set("a", 1, page(1));
  cache.set("a", 2, page(2));
  cache.has("a", 1);
  cache.set("a", 3, page(3));
  expect(cache.has("a", 1)).toBe(false);
});

test("a page larger than the whole cache is kept until the next one comes", () => {
  const cache = new PageCache({ bytesMax: 10 });
  cache.set("a", 1, page(1));
  expect(cache.get("a", 1)?.page).toEqual(page(1));
  cache.set("a", 2, page(2));
  expect(cache.has("a", 1)).toBe(false);
  expect(cache.bytes).toBe(fileBytes() + entryBytes());
});

test("it never holds more than its bytes, and always what a plain list would", () => {
  const bytesMax = 2 * fileBytes() + 5 * entryBytes();
  const aStep = fc.record({
    file: fc.constantFrom("a", "b", "c"),
    offset: fc.nat({ max: 5 }),
    kind: fc.constantFrom("set", "get", "get", "delete"),
  });
  fc.assert(
    fc.property(fc.array(aStep, { maxLength: 100 }), (steps) => {
      const cache = new PageCache({ bytesMax });
      const recent: string[] = [];
      for (const { file, offset, kind } of steps) {
        const key = `${file} ${offset}`;
        const known = recent.indexOf(key);
        if (kind === "set") cache.set(file, offset, page(offset));
        else if (kind === "delete") cache.delete(file, offset);
        else expect(cache.get(file, offset)?.page[0]).toBe(known === -1 ? undefined : offset);
        if (known !== -1) recent.splice(known, 1);
        if (kind === "set" || (kind === "get" && known !== -1)) recent.push(key);
        while (bytesOf(recent) > bytesMax) recent.shift();
        expect(cache.bytes).toBe(bytesOf(recent));
        expect(cache.bytes).toBeLessThanOrEqual(bytesMax);
      }
    }),
  );
});

test("whether a page was verified is kept with it, and a page can be forgotten", () => {
  const cache = new PageCache({ bytesMax: 1_000_000 });
  cache.set("a", 1, page(1));
  expect(cache.get("a", 1)?.isVerified).toBe(false);
  cache.set("a", 1, page(1), true);
  expect(cache.get("a", 1)?.isVerified).toBe(true);
  cache.delete("a", 1);
  cache.delete("a", 2);
  expect(cache.get("a", 1)).toBeUndefined();
  expect(cache.bytes).toBe(0);
});
