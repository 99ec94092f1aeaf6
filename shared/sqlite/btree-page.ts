import { DATABASE_HEADER_BYTES } from "./database-header.ts";

/** What a page's first byte says when it is a page of a B-tree. */
export type BtreePageKind = "index-interior" | "table-interior" | "index-leaf" | "table-leaf";

const KINDS: Readonly<Record<number, BtreePageKind>> = {
  2: "index-interior",
  5: "table-interior",
  10: "index-leaf",
  13: "table-leaf",
};

const LEAF_HEADER_BYTES = 8;
const INTERIOR_HEADER_BYTES = 12;
const CHILD_BYTES = 4;

/** Where a page's B-tree header begins, in bytes: on page 1 behind the database's header. */
export function btreeHeaderOffset(pgno: number): number {
  return pgno === 1 ? DATABASE_HEADER_BYTES : 0;
}

/**
 * What kind of B-tree page it claims to be. Pages that belong to no tree (overflow, pointer map, free)
 * may claim anything: only the way from a root proves it.
 */
export function btreePageKind(pgno: number, page: Uint8Array): BtreePageKind | undefined {
  return KINDS[page[btreeHeaderOffset(pgno)]];
}

/**
 * The children of an interior page in the order of their keys, the rightmost last, as page numbers.
 * Undefined when the page claims to be no interior page or cannot be one.
 *
 * @see https://www.sqlite.org/fileformat2.html#b_tree_pages
 */
export function childPgnos(pgno: number, page: Uint8Array): Uint32Array | undefined {
  if (!btreePageKind(pgno, page)?.endsWith("-interior")) return undefined;
  const view = new DataView(page.buffer, page.byteOffset, page.length);
  const start = btreeHeaderOffset(pgno);
  const pointers = start + INTERIOR_HEADER_BYTES;
  const cells = view.getUint16(start + 3);
  if (pointers + 2 * cells > page.length) return undefined;
  const children = new Uint32Array(cells + 1);
  for (let cell = 0; cell < cells; cell++) {
    const offset = view.getUint16(pointers + 2 * cell);
    if (offset + CHILD_BYTES > page.length) return undefined;
    children[cell] = view.getUint32(offset);
  }
  children[cells] = view.getUint32(start + 8);
  return children;
}

/** Where a leaf's cells begin, in bytes from the start of the page. Undefined when it can be none. */
export function leafCellOffsets(pgno: number, page: Uint8Array): Uint16Array | undefined {
  if (!btreePageKind(pgno, page)?.endsWith("-leaf")) return undefined;
  const view = new DataView(page.buffer, page.byteOffset, page.length);
  const start = btreeHeaderOffset(pgno);
  const pointers = start + LEAF_HEADER_BYTES;
  const cells = view.getUint16(start + 3);
  if (pointers + 2 * cells > page.length) return undefined;
  return Uint16Array.from({ length: cells }, (_, cell) => view.getUint16(pointers + 2 * cell));
}
