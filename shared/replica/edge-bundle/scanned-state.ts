import { ReplicaError } from "../../errors.ts";
import { childPgnos } from "../../sqlite/btree-page.ts";
import { lockPgno } from "../../sqlite/database-header.ts";
import type { LtxFileInfo } from "../list-ltx-files.ts";
import type { Replica } from "../ltx-key.ts";
import type { PageLocation } from "../page-locator.ts";
import type { BundleSource } from "./bundle-source.ts";
import { InteriorFrames } from "./interior-frames.ts";
import type { UnitPlace, VerifiableLocation } from "./location-coding.ts";
import { PageTable } from "./page-table.ts";
import { readStoredPage } from "./read-stored-page.ts";
import type { ScannedPage } from "./scan-files.ts";

export interface ScannedStateOptions {
  readonly replica: Replica;
  /** Those that locations name by their index. */
  readonly files: readonly LtxFileInfo[];
  readonly pageSize: number;
  /** Most pages that the state has, or has later. */
  readonly commitMax: number;
  readonly signal?: AbortSignal | undefined;
}

/** A database as its files were scanned: where each page lies, and its interior pages. */
export class ScannedState {
  readonly #options: ScannedStateOptions;
  readonly #table: PageTable;
  readonly #frames: InteriorFrames;
  /** Pages that were read by themselves: those of the schema, which are read more than once. */
  readonly #pages = new Map<number, Uint8Array>();

  constructor(options: ScannedStateOptions) {
    this.#options = options;
    this.#table = new PageTable(options.commitMax);
    this.#frames = new InteriorFrames(options.pageSize);
  }

  get pageSize(): number {
    return this.#options.pageSize;
  }

  /** Takes a page; a later one of the same number goes before it. */
  take({ pgno, page, location }: ScannedPage): void {
    this.#pages.delete(pgno);
    this.#table.set(pgno, location);
    this.#frames.offer(pgno, page, this.#options.commitMax);
  }

  /** Takes where a page lies, without the page. */
  takeLocation(pgno: number, location: VerifiableLocation): void {
    this.#table.set(pgno, location);
  }

  /** Takes an interior page, without where it lies. */
  takeInterior(pgno: number, page: Uint8Array): void {
    this.#frames.offer(pgno, page, this.#options.commitMax);
  }

  /** Forgets what lies behind the database's end: when it grows again, that is written anew. */
  truncate(commit: number): void {
    this.#table.forgetPlaces(commit + 1);
    this.#frames.truncate(commit);
  }

  /** Forgets where pages lie, and takes the places that `move` says: the pages are the same. */
  forgetPlaces(): void {
    this.#table.forgetPlaces(1);
  }

  move(pgno: number, place: PageLocation): void {
    this.#table.move(pgno, place);
  }

  locate(pgno: number): VerifiableLocation | null {
    return this.#table.get(pgno);
  }

  frame(pgno: number): Uint8Array | undefined {
    return this.#frames.frame(pgno);
  }

  /** The first page up to `commit` that no file holds; undefined when none is missing. */
  firstMissing(commit: number): number | undefined {
    const lock = lockPgno(this.pageSize);
    for (let pgno = 1; pgno <= commit; pgno++) {
      if (pgno !== lock && !this.#table.get(pgno)) return pgno;
    }
    return undefined;
  }

  /** Reads a page, from memory where it is an interior one. */
  async read(pgno: number): Promise<Uint8Array> {
    const known = this.#frames.page(pgno) ?? this.#pages.get(pgno);
    if (known) return known;
    const location = this.#table.get(pgno);
    if (!location)
      throw new ReplicaError("CORRUPT_PAGE", `page ${pgno} is in none of the LTX files`);
    const { replica, files, pageSize, signal } = this.#options;
    const page = await readStoredPage(replica, { pgno, location, files, pageSize, signal });
    this.#pages.set(pgno, page);
    return page;
  }

  /** The interior pages from the roots down, level by level, each level in the order of its parents. */
  levels(roots: readonly number[], commit: number): number[][] {
    const levels: number[][] = [];
    const seen = new Set<number>();
    let level = roots.filter((pgno) => this.#isNew(pgno, commit, seen));
    // Bounded by the interior pages: each is in one level, once.
    while (level.length > 0) {
      levels.push(level);
      const next: number[] = [];
      for (const pgno of level) {
        const page = this.#frames.page(pgno);
        for (const child of (page && childPgnos(pgno, page)) ?? []) {
          if (this.#isNew(child, commit, seen)) next.push(child);
        }
      }
      level = next;
    }
    return levels;
  }

  /** The state as bundles are made from it. */
  source(commit: number, records: ReadonlyMap<number, UnitPlace>): BundleSource {
    const locate = (pgno: number) => (pgno <= commit ? this.#table.get(pgno) : null);
    const record = (pgno: number) => records.get(pgno);
    return {
      commit,
      locate: async (pgno) => locate(pgno),
      read: (pgno) => this.read(pgno),
      isInterior: async (pgno) => this.#frames.has(pgno),
      record,
      children: async (_pgno, pgnos) => ({
        located: Array.from(pgnos, (pgno) => ({
          pgno,
          location: locate(pgno),
          record: record(pgno),
        })),
        interior: [...pgnos].filter((pgno) => this.#frames.has(pgno)),
      }),
    };
  }

  #isNew(pgno: number, commit: number, seen: Set<number>): boolean {
    if (pgno > commit || seen.has(pgno) || !this.#frames.has(pgno)) return false;
    seen.add(pgno);
    return true;
  }
}
