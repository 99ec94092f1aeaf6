import {
  childAt,
  indexOfChild,
  type TreePage,
  type TreePages,
  type TreePlace,
} from "./tree-page.ts";

/** Interior pages that are looked through: those of some two gigabytes. */
const INTERIOR_MAX = 2_048;
/** Children of a page that are looked at to tell whether they are leaves. */
const SAMPLES = 3;
/** Pages that are looked at, and children that are compared, in all: damaged pages may have any number. */
const LOOKS_MAX = 16_384;
const COMPARED_MAX = 10_000_000;
/** Searches in vain, one after the other, after which no more are made: the pages asked for are in no tree. */
const VAIN_MAX = 32;

/**
 * Finds the parent of a page among the interior pages at hand that nobody has used: SQLite's own cache hides
 * which ones it goes through. It walks the trees from their roots, as far as a search needs to.
 */
export class InteriorWalk {
  readonly #pages: TreePages;
  readonly #roots: () => Iterable<number>;
  readonly #found: number[] = [];
  #walk: Iterator<number> | undefined;
  #inVain = 0;
  #compared = 0;

  /** @param roots Pages that trees begin with, as the schema names them. */
  constructor(pages: TreePages, roots: () => Iterable<number>) {
    this.#pages = pages;
    this.#roots = roots;
  }

  placeOf(pgno: number): TreePlace | undefined {
    if (this.#inVain >= VAIN_MAX) return undefined;
    for (let at = 0; at < INTERIOR_MAX; at++) {
      const parent = this.#interior(at);
      if (parent === undefined) break;
      this.#compared += parent.cellCount;
      if (this.#compared > COMPARED_MAX) break;
      const index = indexOfChild(parent, pgno);
      if (index === -1) continue;
      this.#inVain = 0;
      return { parent, index };
    }
    this.#inVain++;
    return undefined;
  }

  /** The interior page that was found at this place, walking on to it where that has to be. */
  #interior(at: number): TreePage | undefined {
    if (at === this.#found.length) {
      this.#walk ??= this.#interiorPages();
      const { done, value } = this.#walk.next();
      if (done === true) return undefined;
      this.#found.push(value);
    }
    const page = this.#pages.page(this.#found[at]);
    return page?.isInterior === true ? page : EMPTY_PAGE;
  }

  *#interiorPages(): Generator<number, void, undefined> {
    const pgnos = [...this.#roots()];
    // Level by level: what is looked for hangs mostly right below a root, and each page that is looked at is decoded.
    // A ring of damaged pages is walked until the looks are used up.
    for (let looks = 0; looks < LOOKS_MAX && looks < pgnos.length; looks++) {
      const page = this.#pages.page(pgnos[looks]);
      if (page?.isInterior !== true) continue;
      yield page.pgno;
      if (!this.#areInterior(page) || pgnos.length > LOOKS_MAX) continue;
      for (let index = 0; index <= page.cellCount; index++) pgnos.push(childAt(page, index));
    }
  }

  #areInterior(page: TreePage): boolean {
    return Array.from({ length: SAMPLES }, (_, sample) =>
      Math.floor((page.cellCount * sample) / (SAMPLES - 1)),
    ).some((index) => this.#pages.page(childAt(page, index))?.isInterior === true);
  }
}

/** Stands for a page that is no longer at hand: it has no child. */
const EMPTY_PAGE: TreePage = {
  pgno: 0,
  bytes: new Uint8Array(0),
  isInterior: true,
  isIndex: false,
  cellCount: 0,
  pointersOffset: 0,
};
