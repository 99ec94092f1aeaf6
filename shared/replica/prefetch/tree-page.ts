import { btreeHeaderOffset, btreePageKind } from "../../sqlite/btree-page.ts";

/**
 * A page of a B-tree, read where it lies: nothing is parsed ahead, so looking at one costs next to
 * nothing. The bytes may be anything (an overflow page, a damaged one): what cannot be read is NaN
 * or undefined, never an exception.
 *
 * @see https://www.sqlite.org/fileformat2.html#b_tree_pages
 */
export interface TreePage {
  readonly pgno: number;
  readonly bytes: Uint8Array;
  readonly isInterior: boolean;
  /** Of an index, or of a WITHOUT ROWID table; otherwise of a table with rowids. */
  readonly isIndex: boolean;
  readonly cellCount: number;
  /** Where the array of cell pointers begins. */
  readonly pointersOffset: number;
}

/** The pages of a database that are at hand. */
export interface TreePages {
  /** Bytes of each page that SQLite uses; the others are left to extensions. */
  readonly usableBytes: number;
  /** The page where it is at hand and one of a B-tree. */
  page(pgno: number): TreePage | undefined;
}

/** One place in an interior page. */
export interface TreePlace {
  readonly parent: TreePage;
  /** Of the child, from 0 to the page's `cellCount`. */
  readonly index: number;
}

/** The page as one of a B-tree; undefined where it cannot be one. */
export function asTreePage(pgno: number, bytes: Uint8Array): TreePage | undefined {
  const kind = btreePageKind(pgno, bytes);
  if (kind === undefined) return undefined;
  const isInterior = kind === "index-interior" || kind === "table-interior";
  const start = btreeHeaderOffset(pgno);
  const cellCount = uint16(bytes, start + 3);
  const pointersOffset = start + (isInterior ? 12 : 8);
  if (!(pointersOffset + 2 * cellCount <= bytes.length)) return undefined;
  const isIndex = kind === "index-interior" || kind === "index-leaf";
  return { pgno, bytes, isInterior, isIndex, cellCount, pointersOffset };
}

/** Where a cell begins; NaN where there is none. */
export function cellOffset({ bytes, pointersOffset, cellCount }: TreePage, index: number): number {
  const isCell = index >= 0 && index < cellCount;
  return isCell ? uint16(bytes, pointersOffset + 2 * index) : Number.NaN;
}

/** Page number of a child of an interior page, from 0 to `cellCount`; NaN where it cannot be read. */
export function childAt(page: TreePage, index: number): number {
  const { bytes, pointersOffset, cellCount } = page;
  return uint32(bytes, index === cellCount ? pointersOffset - 4 : cellOffset(page, index));
}

/** Index of the child with this number; -1 where the page has no such child. */
export function indexOfChild(page: TreePage, pgno: number): number {
  for (let index = page.cellCount; index >= 0; index--) {
    if (childAt(page, index) === pgno) return index;
  }
  return -1;
}

/** Outside of the bytes, an element is undefined, and arithmetic with it NaN. */
function uint16(bytes: Uint8Array, offset: number): number {
  return bytes[offset] * 0x100 + bytes[offset + 1];
}

/** Big-endian; NaN where it cannot be read. */
export function uint32(bytes: Uint8Array, offset: number): number {
  return uint16(bytes, offset) * 0x1_0000 + uint16(bytes, offset + 2);
}
