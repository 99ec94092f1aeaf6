import type { PageMap } from "./page-map.ts";

/** One ranged read: part of one LTX file, and the pages whose frames lie in it. */
export interface PageRange {
  /** Index of the LTX file in the plan. */
  readonly file: number;
  readonly offset: number;
  readonly length: number;
  readonly frames: readonly {
    readonly pgno: number;
    readonly offset: number;
    readonly size: number;
  }[];
}

export interface PageRangeOptions {
  /** Bytes that one read may take, but that it takes a whole frame in any case. */
  readonly lengthMax: number;
  /** Bytes between two frames that are read along rather than asked for separately. */
  readonly gapMax: number;
  /**
   * Size of a page, in bytes. Where it is given, gaps are read along only as long as the read stays
   * below the size of its pages: no more is fetched than an uncompressed file would take.
   */
  readonly pageSize?: number;
}

/**
 * Cuts a set of pages into as few ranged reads as their places allow. Pages that the map does not know are left out.
 */
export function planPageRanges(
  pages: PageMap,
  pgnos: Iterable<number>,
  { lengthMax, gapMax, pageSize = Infinity }: PageRangeOptions,
): PageRange[] {
  const places = [...pgnos]
    .map((pgno) => ({ pgno, place: pages.get(pgno) }))
    .filter(({ place }) => place !== undefined)
    .map(({ pgno, place }) => ({ pgno, ...place! }))
    .toSorted((a, b) => a.file - b.file || a.offset - b.offset);
  const ranges: (PageRange & {
    length: number;
    frames: { pgno: number; offset: number; size: number }[];
  })[] = [];
  for (const { pgno, file, offset, size } of places) {
    const last = ranges.at(-1);
    const end = offset + size;
    const gap = last?.file === file ? offset - (last.offset + last.length) : Infinity;
    const joins =
      last !== undefined &&
      gap <= gapMax &&
      end - last.offset <= lengthMax &&
      (gap === 0 || end - last.offset <= (last.frames.length + 1) * pageSize);
    if (joins) {
      last.length = end - last.offset;
      last.frames.push({ pgno, offset, size });
    } else {
      ranges.push({ file, offset, length: size, frames: [{ pgno, offset, size }] });
    }
  }
  return ranges;
}
