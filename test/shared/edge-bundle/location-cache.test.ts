import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LocationCache } from "../../../shared/replica/edge-bundle/location-cache.ts";

const location = (pgno: number) => ({
  file: pgno % 7,
  offset: pgno * 2 ** 20,
  size: pgno,
  checksum: ~pgno >>> 0,
});

function locationOf(pgno: number) {
  return { file: pgno % 7, offset: 4_000 * pgno, size: 3_000 + (pgno % 999), checksum: pgno * 31 };
}

describe("LocationCache", () => {
  it("gives back what was put in, for each owner apart", () => {
    const cache = new LocationCache({ bytesMax: 1024 * 1024 });
    const [a, b] = [cache.owner("a"), cache.owner("b")];
    expect(cache.owner("a")).toBe(a);
    cache.set(a, 5, location(5));
    expect(cache.get(a, 5)).toEqual(location(5));
    expect(cache.get(b, 5)).toBeUndefined();
    cache.set(b, 5, location(6));
    expect([cache.get(a, 5), cache.get(b, 5)]).toEqual([location(5), location(6)]);
    cache.delete(a, 5);
    expect([cache.get(a, 5), cache.get(b, 5)]).toEqual([undefined, location(6)]);
  });

  it("keeps places beyond 4 GB and checksums of 32 bits", () => {
    const cache = new LocationCache({ bytesMax: 64 * 1024 });
    const far = { file: 70_000, offset: 2 ** 47 + 1, size: 65_830, checksum: 0xffff_ffff };
    cache.set(cache.owner("a"), 0xffff_fffe, far);
    expect(cache.get(cache.owner("a"), 0xffff_fffe)).toEqual(far);
  });

  it("grows with what is put in, up to its bound and no further", () => {
    const bytesMax = 256 * 1024;
    const cache = new LocationCache({ bytesMax });
    const owner = cache.owner("a");
    expect(cache.sizeBytes).toBeLessThan(20_000);
    for (let pgno = 1; pgno <= 4_000; pgno++) cache.set(owner, pgno, location(pgno));
    const kept = Array.from({ length: 4_000 }, (_, index) => cache.get(owner, index + 1)).filter(
      Boolean,
    );
    expect(kept.length).toBeGreaterThan(3_900);
    for (let pgno = 1; pgno <= 100_000; pgno++) cache.set(owner, pgno, location(pgno));
    expect(cache.sizeBytes).toBeLessThanOrEqual(bytesMax);
  });

  it("lets go of what was not used for longest", () => {
    const cache = new LocationCache({ bytesMax: 64 * 1024 });
    const owner = cache.owner("a");
    const used = Array.from({ length: 50 }, (_, index) => index + 1);
    for (const pgno of used) cache.set(owner, pgno, location(pgno));
    for (let pgno = 1_000; pgno < 20_000; pgno++) {
      cache.set(owner, pgno, location(pgno));
      if (pgno % 20 === 0) for (const each of used) cache.get(owner, each);
    }
    expect(used.filter((pgno) => cache.get(owner, pgno)).length).toBe(50);
  });

  it("forgets, and never mistakes one page for another, whatever is done with it", () => {
    const step = fc.tuple(
      fc.constantFrom("set", "delete", "get"),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 3_000 }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 2_000 }), (steps) => {
        const cache = new LocationCache({ bytesMax: 32 * 1024 });
        const owners = ["a", "b", "c"].map((name) => cache.owner(name));
        const model = new Map<string, number>();
        for (const [index, [what, owner, pgno]] of steps.entries()) {
          const key = `${owner} ${pgno}`;
          if (what === "set") {
            cache.set(owners[owner - 1], pgno, location(index + 1));
            model.set(key, index + 1);
          } else if (what === "delete") {
            cache.delete(owners[owner - 1], pgno);
            model.delete(key);
          }
          const found = cache.get(owners[owner - 1], pgno);
          const expected = model.get(key);
          if (found) expect(found).toEqual(location(expected!));
          if (what === "set") expect(found).toBeDefined();
          if (expected === undefined) expect(found).toBeUndefined();
        }
      }),
      { numRuns: 30 },
    );
  });

  it("tells a thousand owners apart, and gives the oldest a new number after that", () => {
    const cache = new LocationCache({ bytesMax: 32 * 1024 });
    const first = cache.owner("first");
    cache.set(first, 1, location(1));
    for (let index = 0; index < 1_024; index++) cache.owner(`other ${index}`);
    const again = cache.owner("first");
    expect(again).not.toBe(first);
    expect(cache.get(again, 1)).toBeUndefined();
  });

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
});
