import * as fc from "fast-check";
import { expect, test } from "vitest";
import { PageMap } from "../../../shared/replica/page-map.ts";
import { indexBlock } from "../../support/ltx-fixtures.ts";

type Entry = [pgno: number, offset: number, size: number];

/** Entries for the frames of some pages, one behind the other. */
function chain(frames: readonly (readonly [pgno: number, size: number])[]): Entry[] {
  let offset = 100;
  return frames.map(([pgno, size]) => {
    const entry: Entry = [pgno, offset, size];
    offset += size;
    return entry;
  });
}

function indexOf(...frames: readonly (readonly [pgno: number, size: number])[]): Uint8Array {
  return indexBlock(chain(frames));
}

test("what is set last counts, page by page", () => {
  const map = new PageMap(3);
  map.setAll(0, indexOf([1, 40], [2, 50]), undefined);
  map.setAll(7, indexOf([2, 60]), undefined);
  expect(map.get(1)).toEqual({ file: 0, offset: 100, size: 40 });
  expect(map.get(2)).toEqual({ file: 7, offset: 100, size: 60 });
});

test("a page that no file holds, and any beyond the database, is null", () => {
  const map = new PageMap(3);
  map.setAll(0, indexOf([2, 40], [4, 40]), undefined);
  expect(map.get(2)).not.toBeNull();
  for (const pgno of [0, 1, 3, 4, 5, 4_294_967_295]) expect(map.get(pgno)).toBeNull();
});

test("pages keep their places in files of any kind: in rows, with gaps, and beyond 4 GiB", () => {
  const commit = 20_000;
  const files = fc.array(
    fc.record({
      first: fc.integer({ min: 1, max: commit }),
      gaps: fc.array(fc.constantFrom(1, 1, 1, 1, 2, 300), { maxLength: 400 }),
      rowBehind: fc.constantFrom(0, 3, 9_000),
      size: fc.constantFrom(40, 70_000, 0xffff_ffff),
      hasChecksums: fc.boolean(),
    }),
    { minLength: 1, maxLength: 3 },
  );
  fc.assert(
    fc.property(files, (some) => {
      const map = new PageMap(commit);
      const expected = new Map<number, unknown>();
      for (const [file, { first, gaps, rowBehind, size, hasChecksums }] of some.entries()) {
        const pgnos = [first];
        for (const gap of [...gaps, ...Array<number>(rowBehind).fill(1)]) {
          pgnos.push(pgnos[pgnos.length - 1] + gap);
        }
        const entries = chain(pgnos.map((pgno) => [pgno, size]));
        const checksums = hasChecksums ? Uint32Array.from(pgnos, (pgno) => 3 * pgno) : undefined;
        map.setAll(file, indexBlock(entries), checksums);
        for (const [pgno, offset] of entries) {
          const place = { file, offset, size };
          expected.set(pgno, hasChecksums ? { ...place, checksum: 3 * pgno } : place);
        }
      }
      for (const [pgno, place] of expected) {
        expect(map.get(pgno)).toEqual(pgno > commit ? null : place);
      }
    }),
    { numRuns: 30 },
  );
});

test("a plan beyond what fits is refused, not wrapped", () => {
  const map = new PageMap(0xffff);
  map.setAll(0xffff, indexOf([1, 1]), undefined);
  expect(map.get(1)?.file).toBe(0xffff);
  const beyond = /beyond what a page map/;
  expect(() => map.setAll(0x1_0000, indexOf([1, 1]), undefined)).toThrow(beyond);
  const far = chain(Array.from({ length: 0x1_0002 }, (_, index) => [index + 1, 0xffff_ffff]));
  expect(() => map.setAll(0, indexBlock(far), undefined)).toThrow(/further than any file/);
});

test("a damaged index is refused", () => {
  const refused = expect.objectContaining({ code: "CORRUPT_PAGE" });
  const index = indexOf([1, 40], [2, 40]);
  expect(() => new PageMap(3).setAll(0, index.subarray(0, -1), undefined)).toThrow(refused);
});

test("a page takes 12 bytes: a database of 4 GB with pages of 4 KiB, 12 MB", () => {
  expect(new PageMap(1_000_000).sizeBytes).toBe(12_000_000);
});

test("checksums are kept where they are known, zero among them, and go with the version", () => {
  const map = new PageMap(5_000);
  const pgnos = [31, 32, 33, 1_023, 1_024, 4_999];
  const index = indexOf(...pgnos.map((pgno) => [pgno, 40] as const));
  map.setAll(0, index, Uint32Array.of(31, 32, 0, 1_023, 1_024, 4_999));
  map.setAll(1, indexOf([34, 40], [1_024, 40]), undefined);
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
  map.setAll(0, indexOf([500_000, 40]), Uint32Array.of(7));
  expect(map.sizeBytes).toBeLessThan(12_000_000 + 5_000);
});

test("finding a page reads nothing", async () => {
  const map = new PageMap(2);
  map.setAll(0, indexOf([1, 40]), undefined);
  expect(await map.find(1)).toEqual({ location: { file: 0, offset: 100, size: 40 } });
  expect(await map.find(2)).toEqual({ location: null });
});
