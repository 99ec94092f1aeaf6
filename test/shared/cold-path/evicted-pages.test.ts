/** What becomes of pages that leave a cache; only Node lets a test collect its garbage. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { PageCache } from "../../../shared/replica/page-cache.ts";
import { PageMap } from "../../../shared/replica/page-map.ts";

const PAGE_BYTES = 512;

/** Room for two pages of one file. */
function smallCache(): PageCache {
  const one = new PageCache({ bytesMax: 1_000_000 });
  for (let offset = 0; offset < 2; offset++) one.set("a", offset, new Uint8Array(PAGE_BYTES));
  return new PageCache({ bytesMax: one.bytes });
}

test("an evicted page is garbage, though a snapshot still has its shortcuts", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const cache = smallCache();
  const shortcuts = cache.shortcutsOf(new PageMap(1), 0);
  const put = (pgno: number): WeakRef<Uint8Array> => {
    const found = cache.set("a", pgno, new Uint8Array(PAGE_BYTES), true);
    shortcuts.remember(pgno, { file: "a", offset: pgno }, found);
    return new WeakRef(found.page);
  };
  const [first] = [1, 2, 3].map(put);
  // What a WeakRef was made of stays until the turn is over.
  await new Promise((resolve) => setTimeout(resolve, 0));
  collect();
  expect(first.deref()).toBeUndefined();
  expect(shortcuts.count).toBe(2);
});
