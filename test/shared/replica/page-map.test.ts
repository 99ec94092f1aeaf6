import * as fc from "fast-check";
import { expect, test } from "vitest";
import { PageMap } from "../../../shared/replica/page-map.ts";
import type { PageLocation } from "../../../shared/replica/page-locator.ts";

test("what is set last counts, page by page", () => {
  const map = new PageMap(3);
  map.set(1, { file: 0, offset: 100, size: 40 });
  map.set(2, { file: 0, offset: 140, size: 50 });
  map.set(2, { file: 7, offset: 100, size: 60 });
  expect(map.get(1)).toEqual({ file: 0, offset: 100, size: 40 });
  expect(map.get(2)).toEqual({ file: 7, offset: 100, size: 60 });
});

test("a page that no file holds, and any beyond the database, is null", () => {
  const map = new PageMap(3);
  map.set(4, { file: 0, offset: 100, size: 40 });
  for (const pgno of [0, 1, 3, 4, 5, 4_294_967_295]) expect(map.get(pgno)).toBeNull();
});

test("places keep their value in files beyond 4 GiB and in the last of 65,536 files", () => {
  const aPlace: fc.Arbitrary<PageLocation> = fc.record({
    file: fc.integer({ min: 0, max: 0xffff }),
    offset: fc.integer({ min: 100, max: 2 ** 48 - 1 }),
    size: fc.integer({ min: 1, max: 0xffff_ffff }),
  });
  fc.assert(
    fc.property(fc.array(aPlace, { minLength: 1, maxLength: 20 }), (places) => {
      const map = new PageMap(places.length);
      for (const [index, place] of places.entries()) map.set(index + 1, place);
      expect(places.map((_, index) => map.get(index + 1))).toEqual(places);
    }),
  );
});

test("a plan beyond what fits is refused, not wrapped", () => {
  const map = new PageMap(1);
  expect(() => map.set(1, { file: 0x1_0000, offset: 100, size: 1 })).toThrow(
    /beyond what a page map/,
  );
  expect(() => map.set(1, { file: 0, offset: 2 ** 48, size: 1 })).toThrow(/beyond what a page map/);
});

test("a page takes 12 bytes: a database of 4 GB with pages of 4 KiB, 12 MB", () => {
  expect(new PageMap(1_000_000).sizeBytes).toBe(12_000_000);
});

test("checksums are kept where they are known, zero among them, and go with the version", () => {
  const map = new PageMap(5_000);
  const place = { file: 0, offset: 100, size: 40 };
  for (const pgno of [31, 32, 1_023, 1_024, 4_999]) map.set(pgno, { ...place, checksum: pgno });
  map.set(33, { ...place, checksum: 0 });
  map.set(34, place);
  map.set(1_024, { ...place, file: 1 });
  expect([31, 32, 33, 34, 1_023, 1_024, 4_999].map((pgno) => map.get(pgno)?.checksum)).toEqual([
    31,
    32,
    0,
    undefined,
    1_023,
    undefined,
    4_999,
  ]);
});

test("checksums of a few pages take memory for their part of the database only", () => {
  const map = new PageMap(1_000_000);
  map.set(500_000, { file: 0, offset: 100, size: 40, checksum: 7 });
  expect(map.sizeBytes).toBeLessThan(12_000_000 + 5_000);
});

test("finding a page reads nothing", async () => {
  const map = new PageMap(2);
  map.set(1, { file: 0, offset: 100, size: 40 });
  expect(await map.find(1)).toEqual({ location: { file: 0, offset: 100, size: 40 } });
  expect(await map.find(2)).toEqual({ location: null });
});
