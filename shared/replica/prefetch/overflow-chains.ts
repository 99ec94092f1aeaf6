import type { KnownTrees } from "./known-trees.ts";
import { overflowOf } from "./record.ts";

/** Leaves whose rows are looked through: a join reads two tables in turn. */
const LEAVES_MAX = 2;

/** Rows too large for their page go on in a chain of others: the leaf that was used last says how long it is. */
export class OverflowChains {
  readonly #trees: KnownTrees;
  /** Least recently used first. */
  #leaves: readonly number[] = [];

  constructor(trees: KnownTrees) {
    this.#trees = trees;
  }

  /** Notes that a leaf of a table was used. */
  onUse(pgno: number): void {
    if (this.#leaves.at(-1) === pgno) return;
    this.#leaves = [...this.#leaves.filter((leaf) => leaf !== pgno), pgno].slice(-LEAVES_MAX);
  }

  /** Pages of the chain that begins with this one; undefined where no row is known to go on there. */
  lengthFrom(pgno: number): number | undefined {
    for (const leafPgno of this.#leaves) {
      const leaf = this.#trees.page(leafPgno);
      if (leaf === undefined) continue;
      for (let index = 0; index < leaf.cellCount; index++) {
        const overflow = overflowOf(leaf, index, this.#trees.usableBytes);
        if (overflow?.firstPgno === pgno) return overflow.pageCount;
      }
    }
    return undefined;
  }
}
