import { readPageIndex } from "../ltx/page-index.ts";
import type { IndexWindows } from "./index-windows.ts";
import { LayeredPages } from "./layered-pages.ts";
import { LazyIndex } from "./lazy-index.ts";
import type { LtxFile } from "./ltx-file.ts";
import type { PageLocation, PageLocator } from "./page-locator.ts";
import { PageMap } from "./page-map.ts";
import { SparsePageMap } from "./sparse-page-map.ts";

/** A database of so many pages may have a map of all of them: 4 MB. */
const MAPPED_PAGES_MAX = 350_000;
/** Page indexes that are merged for a larger one, all files together, in bytes: three times that in memory. */
const MERGED_BYTES_MAX = 1_500_000;
/** An index up to this length is merged in any case: a read of it would cost more than its memory. In bytes. */
const MERGED_BYTES_MIN = 64 * 1024;
/** What an entry of a page index takes, about. */
const ENTRY_BYTES = 9;

export interface LocateFilesOptions {
  /** Size of the database, in pages. */
  readonly commit: number;
  /** Keeps the parts of long page indexes. */
  readonly windows: IndexWindows;
  /** Index of the first of the files in the snapshot's files. */
  readonly firstFile?: number;
  /** Knows the pages that none of the files holds. */
  readonly older?: PageLocator;
}

/**
 * Where the newest version of each page lies in files that were opened, oldest first: runs of small
 * indexes merged into a map, and a lazy index for each long one, so that the memory does not grow with
 * the database.
 */
export function locateFiles(
  files: readonly LtxFile[],
  { commit, windows, firstFile = 0, older }: LocateFilesOptions,
): PageLocator {
  const lazy = lazyFiles(files, commit);
  const layers: PageLocator[] = older ? [older] : [];
  let run: NumberedFile[] = [];
  const closeRun = () => {
    if (run.length > 0) layers.unshift(mergeFiles(run, commit));
    run = [];
  };
  for (const [index, file] of files.entries()) {
    const number = firstFile + index;
    if (lazy.has(file)) {
      closeRun();
      layers.unshift(new LazyIndex(file, { file: number, windows }));
    } else run.push({ file, number });
  }
  closeRun();
  return layers.length === 1 ? layers[0] : new LayeredPages(commit, layers);
}

/** Files whose indexes are not merged: they are too long, by themselves or all together. */
function lazyFiles(files: readonly LtxFile[], commit: number): Set<LtxFile> {
  const lazy = new Set(files.filter(({ index }) => index === undefined));
  if (commit <= MAPPED_PAGES_MAX) return lazy;
  const byLength = files
    .filter(({ index, bounds }) => index && bounds.length > MERGED_BYTES_MIN)
    .toSorted((a, b) => b.bounds.length - a.bounds.length);
  let merged = files.reduce((sum, { index }) => sum + (index?.length ?? 0), 0);
  for (const file of byLength) {
    if (merged <= MERGED_BYTES_MAX) break;
    merged -= file.bounds.length;
    lazy.add(file);
  }
  return lazy;
}

interface NumberedFile {
  readonly file: LtxFile;
  /** Index in the snapshot's files. */
  readonly number: number;
}

function mergeFiles(run: readonly NumberedFile[], commit: number): PageLocator {
  const entries = run.reduce((sum, { file }) => sum + file.bounds.length / ENTRY_BYTES, 0);
  if (entries > commit / 4) {
    const pages = new PageMap(commit);
    for (const { file, number } of run) pages.setAll(number, indexOf(file), file.checksums);
    return pages;
  }
  const pages = new Map<number, PageLocation>();
  visitPages(run, (pgno, location) => {
    if (pgno <= commit) pages.set(pgno, location);
  });
  return new SparsePageMap(pages);
}

function visitPages(
  run: readonly NumberedFile[],
  visit: (pgno: number, location: PageLocation) => void,
): void {
  for (const { file, number } of run) {
    let entry = 0;
    readPageIndex(indexOf(file), (pgno, offset, size) =>
      visit(pgno, { file: number, offset, size, checksum: file.checksums?.[entry++] }),
    );
  }
}

function indexOf({ index }: LtxFile): Uint8Array {
  return index ?? new Uint8Array(1);
}
