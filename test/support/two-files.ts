/** A database whose pages lie in two files by turns, so that a window of it takes several reads. */
import type { PageReader } from "../../shared/replica/page-reader.ts";
import { sameBytes } from "./ltx-fixtures.ts";
import { historyOf } from "./page-history.ts";

export const TWO_FILE_PAGES = 2_000;
/** Pages in a row that lie in one of the files, and then in the other. */
const RUN = 40;
/** The file with every other run, of level 1; the others are in the snapshot. */
export const NEWER_KEY = "db/0001/0000000000000002-0000000000000002.ltx";

export const TWO_FILES = historyOf(
  [
    { commit: TWO_FILE_PAGES },
    {
      commit: TWO_FILE_PAGES,
      changed: pgnosUpTo(TWO_FILE_PAGES).filter((pgno) => Math.floor(pgno / RUN) % 2 === 1),
    },
  ],
  { kind: "noise", pageSize: 1_024 },
);

export function pgnosUpTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

/** Says whether a page is at hand, and what it was written as. */
export function isRight(reader: PageReader, pgno: number): boolean {
  return sameBytes(reader.resident(pgno) ?? new Uint8Array(), TWO_FILES.page(2, pgno));
}

/** Where a page lies, as the store knows it. */
export function placeOf(reader: PageReader, pgno: number): { key: string; offset: number } {
  const { file, offset } = reader.snapshot.pages.get(pgno)!;
  return { key: reader.snapshot.files[file].key, offset };
}

/** Reads pages in their order until, behind page `from`, one is missing which fits. */
export async function scanUntil(
  reader: PageReader,
  from: number,
  fits: (pgno: number) => boolean = () => true,
): Promise<number> {
  for (let pgno = 200; pgno <= TWO_FILE_PAGES; pgno++) {
    if (reader.resident(pgno)) continue;
    if (pgno > from && fits(pgno)) return pgno;
    await reader.load(pgno);
    if (!isRight(reader, pgno)) throw new Error(`page ${pgno} is not what it was`);
  }
  throw new Error("no page was missing");
}

export function anotherTurn(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 0);
  });
}
