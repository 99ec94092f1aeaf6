import type { PageLocation, PageLocator } from "./page-locator.ts";

/** A page's frame within its file. */
export type PageFrame = Omit<PageLocation, "file"> & { readonly pgno: number };

/** One ranged read: part of one LTX file, and the pages whose frames lie in it. */
export interface PageRange {
  /** Index of the LTX file in the snapshot's files. */
  readonly file: number;
  readonly offset: number;
  readonly length: number;
  readonly frames: readonly PageFrame[];
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
 * Cuts a set of pages into as few ranged reads as their places allow. Pages that no file holds, and
 * those whose place is not known yet, are left out.
 */
export function planPageRanges(
  pages: Pick<PageLocator, "get">,
  pgnos: Iterable<number>,
  { lengthMax, gapMax, pageSize = Infinity }: PageRangeOptions,
): PageRange[] {
  const places: (PageFrame & PageLocation)[] = [];
  for (const pgno of pgnos) {
    const place = pages.get(pgno);
    if (place) places.push({ pgno, ...place });
  }
  places.sort((a, b) => a.file - b.file || a.offset - b.offset);
  const ranges: (PageRange & { length: number; frames: PageFrame[] })[] = [];
  for (const { file, ...frame } of places) {
    const { offset, size } = frame;
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
      last.frames.push(frame);
    } else {
      ranges.push({ file, offset, length: size, frames: [frame] });
    }
  }
  return ranges;
}
