/** Page numbers from 1 to a last one, a bit each; read out in ascending order. */
export class PgnoSet implements Iterable<number> {
  readonly #bits: Uint8Array;
  #size = 0;

  constructor(pgnoMax: number) {
    this.#bits = new Uint8Array((pgnoMax >>> 3) + 1);
  }

  get size(): number {
    return this.#size;
  }

  /** Each number once. */
  add(pgno: number): void {
    this.#bits[pgno >>> 3] = (this.#bits[pgno >>> 3] ?? 0) | (1 << (pgno & 7));
    this.#size++;
  }

  *[Symbol.iterator](): Generator<number> {
    for (const [index, bits] of this.#bits.entries()) {
      if (bits === 0) continue;
      for (let bit = 0; bit < 8; bit++) if ((bits & (1 << bit)) !== 0) yield index * 8 + bit;
    }
  }
}
