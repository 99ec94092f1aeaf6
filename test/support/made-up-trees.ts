/** Pages as no database has them: what reads them must bear anything. */
import * as fc from "fast-check";

const PAGE_SIZE = 512;

export interface MadeUpDatabase {
  readonly pageSize: number;
  readonly pageCount: number;
  page(pgno: number): Uint8Array;
}

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
      rest: fc.uint8Array({ minLength: PAGE_SIZE, maxLength: PAGE_SIZE }),
      isOrderly: fc.boolean(),
    })
    .map(({ kind, cellCount, children, rest, isOrderly }) => {
      const page = rest;
      const view = new DataView(page.buffer, page.byteOffset);
      view.setUint8(headerOffset, kind);
      view.setUint16(headerOffset + 3, cellCount);
      view.setUint32(headerOffset + 8, children[20]);
      if (!isOrderly) return page;
      for (let index = 0; index < 20; index++) {
        const cell = 300 + 10 * index;
        view.setUint16(headerOffset + (kind < 10 ? 12 : 8) + 2 * index, cell);
        view.setUint32(cell, children[index]);
      }
      return page;
    });
}

const aNoisePage = fc.uint8Array({ minLength: PAGE_SIZE, maxLength: PAGE_SIZE });
const anEmptyPage = fc.constant(new Uint8Array(PAGE_SIZE));

export const aMadeUpDatabase: fc.Arbitrary<MadeUpDatabase> = fc
  .integer({ min: 1, max: 40 })
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
