import { expect, it } from "vitest";
import { LocationCache } from "../../../../shared/replica/edge-bundle/location-cache.ts";

function locationOf(pgno: number) {
  return { file: pgno % 7, offset: 4_000 * pgno, size: 3_000 + (pgno % 999), checksum: pgno * 31 };
}

it.each([
  ["side by side", 1],
  ["apart", 37],
  ["at powers of two", 1_024],
])(
  "keeps locations of pages that lie %s, all but one in a thousand, as long as there is room",
  (_name, step) => {
    for (const count of [300, 3_000, 12_000]) {
      const cache = new LocationCache({ bytesMax: 4_000_000 });
      const owners = [cache.owner("a"), cache.owner("b")];
      for (let n = 1; n <= count; n++) {
        for (const owner of owners) cache.set(owner, n * step, locationOf(n * step + owner));
      }
      let lost = 0;
      for (let n = 1; n <= count; n++) {
        for (const owner of owners) {
          const known = cache.get(owner, n * step);
          if (known) expect(known).toEqual(locationOf(n * step + owner));
          else lost++;
        }
      }
      expect(lost).toBeLessThanOrEqual(count / 1_000);
      expect(cache.sizeBytes).toBeLessThanOrEqual(4_000_000);
    }
  },
);

it("keeps what was used last when there is no room for more", () => {
  const cache = new LocationCache({ bytesMax: 64 * 1_024 });
  const owner = cache.owner("a");
  for (let n = 1; n <= 20_000; n++) {
    cache.set(owner, n, locationOf(n));
    for (let hot = 1; hot <= 20; hot++) cache.get(owner, hot);
  }
  expect(cache.sizeBytes).toBeLessThanOrEqual(64 * 1_024);
  for (let hot = 1; hot <= 20; hot++) expect(cache.get(owner, hot)).toEqual(locationOf(hot));
});
