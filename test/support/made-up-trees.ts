/** Pages as no database has them: what reads them must bear anything. */
import * as fc from "fast-check";

const PAGE_SIZE = 2048;
/** Several times the slack that the oracle has. */
const PAGES_MAX = 120;

export interface MadeUpDatabase {
  readonly pageSize: number;
  readonly pageCount: number;
  page(pgno: number): Uint8Array;
}

/** Bytes in no order, which do not shrink. */
const aNoisePage = fc.integer({ min: 1 }).map((seed) => {
  let state = seed;
  return Uint8Array.from({ length: PAGE_SIZE }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 24;
  });
});

/** A page with the look of a B-tree's, whose cells and children are whatever they are. */
function aTreePage(pageCount: number, headerOffset = 0): fc.Arbitrary<Uint8Array> {
  const aChild = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 1, max: pageCount }) },
    { weight: 1, arbitrary: fc.constantFrom(0, pageCount + 1, 0xffff_ffff) },
  );
  return fc
    .record({
      kind: fc.constantFrom(2, 5, 10, 13),
      cellCount: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constantFrom(100, 0xffff)),
      children: fc.array(aChild, { minLength: 21, maxLength: 21 }),
      rest: aNoisePage,
      isOrderly: fc.boolean(),
    })
    .map(({ kind, cellCount, children, rest, isOrderly }) => {
      const page = rest.slice();
      const view = new DataView(page.buffer, page.byteOffset);
      view.setUint8(headerOffset, kind);
      view.setUint16(headerOffset + 3, cellCount);
      view.setUint32(headerOffset + 8, children[20]);
      if (!isOrderly) return page;
      for (let index = 0; index < 20; index++) {
        const cell = 1_300 + 10 * index;
        view.setUint16(headerOffset + (kind < 10 ? 12 : 8) + 2 * index, cell);
        view.setUint32(cell, children[index]);
      }
      return page;
    });
}

const anEmptyPage = fc.constant(new Uint8Array(PAGE_SIZE));

export const aMadeUpDatabase: fc.Arbitrary<MadeUpDatabase> = fc
  .integer({ min: 1, max: PAGES_MAX })
  .chain((pageCount) =>
    fc
      .tuple(
        aTreePage(pageCount, 100),
        fc.array(
          fc.oneof({ weight: 4, arbitrary: aTreePage(pageCount) }, aNoisePage, anEmptyPage),
          { minLength: pageCount, maxLength: pageCount },
        ),
      )
      .map(([first, others]) => ({
        pageSize: PAGE_SIZE,
        pageCount,
        page: (pgno: number) => (pgno === 1 ? first : others[pgno - 1]),
      })),
  );
