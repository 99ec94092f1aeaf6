import { InteriorWalk } from "./interior-walk.ts";
import { lastRowidBelow } from "./record.ts";
import { SchemaRoots } from "./schema-roots.ts";
import {
  asTreePage,
  childAt,
  indexOfChild,
  type TreePage,
  type TreePages,
  type TreePlace,
} from "./tree-page.ts";

/** Interior pages that are remembered, and asked first for a child. */
const RECENT_MAX = 64;
/** Levels that a B-tree can have: SQLite's own bound. */
const LEVELS_MAX = 20;

/** Where page 1 says how much of each page is not SQLite's. */
const RESERVED_BYTES_OFFSET = 20;

/** A page that lies ahead in the order of its tree. */
export interface PageAhead {
  readonly pgno: number;
  /** How far above the page that was begun with: 0 is its own level. */
  readonly level: number;
  /** Children of the last interior page that was gone through: what another may have, too. */
  readonly siblings: number;
}

export interface KnownTreesOptions {
  /** In bytes. */
  readonly pageSize: number;
  /** Size of the database, in pages. */
  readonly pageCount: number;
  readonly isAtHand: (pgno: number) => boolean;
  /** The page where it is at hand. */
  readonly peek: (pgno: number) => Uint8Array | undefined;
  readonly isUnopened?: (pgno: number) => boolean;
}

/**
 * What the pages at hand say of the trees of a database. Only page numbers are kept: of each page the
 * bytes are asked for anew, so memory stays what the cache is given. But of the trees that are expected the few
 * pages are kept which lead to the last one that was asked for: SQLite keeps them as well and asks for them
 * no more, so that a large scan would drive them out of the cache.
 */
export class KnownTrees implements TreePages {
  readonly #options: KnownTreesOptions;
  /** Least recently used first. */
  readonly #recent: number[] = [];
  readonly #walk: InteriorWalk;
  #expected: ReadonlySet<number> = new Set();
  #expectedWalk: InteriorWalk | undefined;
  /** The pages above the last one that was asked for in each expected tree, the lowest first, by its root. */
  readonly #kept = new Map<number, readonly TreePage[]>();
  /** Pages that were looked at for the fault that is being answered: none comes or goes until then. */
  readonly #looked = new Map<number, TreePage | undefined>();
  #faults = 0;
  #usableBytes: number | undefined;
  readonly schema: SchemaRoots;

  constructor(options: KnownTreesOptions) {
    this.#options = options;
    this.schema = new SchemaRoots(this);
    this.#walk = new InteriorWalk(this, () => this.schema.roots);
  }

  /** Sets the roots of the trees that are read from their first page to their last, if at all. */
  expect(rootPgnos: ReadonlySet<number>): void {
    this.#expected = rootPgnos;
    this.#kept.clear();
    this.#expectedWalk = rootPgnos.size > 0 ? new InteriorWalk(this, () => rootPgnos) : undefined;
  }

  /** Notes that a page was asked for which is not at hand. */
  onFault(): void {
    this.#faults++;
  }

  /** Notes that a fault is answered: pages may come and go again, and none is held on to. */
  onAnswer(): void {
    this.#looked.clear();
  }

  /** Notes that an interior page was used: it is the parent of what is asked for next. */
  onUse(pgno: number): void {
    this.#remember(pgno);
  }

  page(pgno: number): TreePage | undefined {
    if (this.#looked.has(pgno)) return this.#looked.get(pgno);
    const bytes = this.isPage(pgno) ? this.#options.peek(pgno) : undefined;
    const page = bytes ? asTreePage(pgno, bytes) : this.#keptPage(pgno);
    this.#looked.set(pgno, page);
    return page;
  }

  get usableBytes(): number {
    const { pageSize, peek } = this.#options;
    const first = this.#usableBytes === undefined ? peek(1) : undefined;
    if (first !== undefined) this.#usableBytes = pageSize - first[RESERVED_BYTES_OFFSET];
    return this.#usableBytes ?? pageSize;
  }

  /**
   * Where a page hangs; undefined where no parent of it is known. From a query's second fault on, also
   * parents that nobody has used are looked for: a single row can do without. In trees that are expected they
   * are at once.
   */
  placeOf(pgno: number): TreePlace | undefined {
    for (const parent of this.#likelyParents()) {
      const index = parent?.isInterior === true ? indexOfChild(parent, pgno) : -1;
      if (index !== -1) return { parent: parent!, index };
    }
    if (this.#expected.has(pgno)) return undefined;
    const place = this.#expectedWalk?.placeOf(pgno) ?? this.#walkTo(pgno);
    if (place !== undefined) this.#remember(place.parent.pgno);
    return place;
  }

  /** The page that the tree of a page begins with, where that tree is expected: the pages between are kept. */
  expectedRootOf(pgno: number): number | undefined {
    const above: TreePage[] = [];
    let top: number | undefined = this.#expected.size > 0 ? pgno : undefined;
    for (let level = 0; level < LEVELS_MAX && top !== undefined; level++) {
      if (this.#expected.has(top)) {
        this.#kept.set(top, above);
        return top;
      }
      const parent: TreePage | undefined = this.placeOf(top)?.parent;
      if (parent !== undefined) above.push(parent);
      top = parent?.pgno;
    }
    return undefined;
  }

  /** The page that a tree begins with, as far as the pages above this one are known. */
  topOf(pgno: number): number {
    let top = pgno;
    for (let level = 0; level < LEVELS_MAX; level++) {
      const place = this.placeOf(top);
      if (place === undefined) break;
      top = place.parent.pgno;
    }
    return top;
  }

  /**
   * The first page that is not at hand on the way from a table's root to a row: 0 where all are,
   * undefined where the way cannot be told, as in a table without rowids.
   *
   * @param mayOpen Whether a page that nobody has opened may be, to see what is missing below it; else the page
   *   itself stands for that.
   */
  firstMissing(rootPgno: number, rowid: number, mayOpen: boolean): number | undefined {
    const { isAtHand, isUnopened } = this.#options;
    let pgno = rootPgno;
    for (let level = 0; level < LEVELS_MAX && this.isPage(pgno); level++) {
      if ((!mayOpen && isUnopened?.(pgno) === true) || !isAtHand(pgno)) return pgno;
      const page = this.page(pgno);
      if (page === undefined) return 0;
      if (page.isIndex) return undefined;
      if (!page.isInterior) return 0;
      pgno = childAt(page, indexByRowid(page, rowid));
    }
    return undefined;
  }

  /**
   * The pages behind (1) or before (-1) a place, in the order of its tree: those of its level, each
   * interior page that is passed on the way, and of an interior page that is not at hand only itself.
   * It ends where the tree does or no parent is known. Whoever reads it bounds it: damaged pages may
   * make a ring.
   */
  *ahead(place: TreePlace, direction: 1 | -1): Generator<PageAhead, void, undefined> {
    const path: { parent: TreePage; index: number }[] = [{ ...place }];
    // Each turn yields a page or goes up a level, and it goes down only behind a yield.
    for (let level = 0; level < path.length;) {
      const at = path[level];
      at.index += direction;
      const { parent, index } = at;
      if (index < 0 || index > parent.cellCount) {
        level++;
        const above = level === path.length && level < LEVELS_MAX && this.placeOf(parent.pgno);
        if (above) path.push({ ...above });
        continue;
      }
      const pgno = childAt(parent, index);
      if (!this.isPage(pgno)) return;
      yield { pgno, level, siblings: path[0].parent.cellCount + 1 };
      const page = level > 0 ? this.page(pgno) : undefined;
      if (page?.isInterior !== true) continue;
      level--;
      path[level] = { parent: page, index: direction > 0 ? -1 : page.cellCount + 1 };
    }
  }

  /** The pages behind (1) or before (-1) one in the file, as if they were of one level. */
  *inFile(pgno: number, direction: 1 | -1): Generator<PageAhead, void, undefined> {
    for (let next = pgno + direction; this.isPage(next); next += direction) {
      yield { pgno: next, level: 0, siblings: 0 };
    }
  }

  /** Says whether the database has a page of this number; what was read from a page may be anything. */
  isPage(pgno: number): boolean {
    // Also false of what is not a number.
    return pgno >= 1 && pgno <= this.#options.pageCount;
  }

  *#likelyParents(): Generator<TreePage | undefined, void, undefined> {
    for (const pages of this.#kept.values()) yield* pages;
    for (let at = this.#recent.length - 1; at >= 0; at--) yield this.page(this.#recent[at]);
  }

  #keptPage(pgno: number): TreePage | undefined {
    for (const pages of this.#kept.values()) {
      const page = pages.find((kept) => kept.pgno === pgno);
      if (page !== undefined) return page;
    }
    return undefined;
  }

  #walkTo(pgno: number): TreePlace | undefined {
    if (this.#faults <= 1 || this.schema.roots.has(pgno)) return undefined;
    return this.#walk.placeOf(pgno);
  }

  #remember(pgno: number): void {
    const at = this.#recent.indexOf(pgno);
    if (at !== -1) this.#recent.splice(at, 1);
    this.#recent.push(pgno);
    if (this.#recent.length > RECENT_MAX) this.#recent.shift();
  }
}

/** Index of the child that holds a row, if any does: each but the last has a rowid that it ends with. */
function indexByRowid(page: TreePage, rowid: number): number {
  let low = 0;
  let high = page.cellCount;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (lastRowidBelow(page, middle) < rowid) low = middle + 1;
    else high = middle;
  }
  return low;
}
