/** Pieces grow, from small ones on: most files are a few pages, some are millions. In bytes. */
const PIECE_BYTES_MIN = 16 * 1024;
const PIECE_BYTES_MAX = 1024 * 1024;

/** Gathers a file's bytes in pieces that are worth a write each. */
export class PieceBuffer {
  #size = PIECE_BYTES_MIN;
  #bytes: Uint8Array = new Uint8Array(0);
  #used = 0;
  readonly #spare: Uint8Array[];

  /** @param spare Buffers that nobody uses any more: taken before new ones are made, where they are large enough. */
  constructor(spare: Uint8Array[] = []) {
    this.#spare = spare;
  }

  /** The piece that is being filled: whoever writes into it says so with `advance`. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** How much of it is filled. */
  get used(): number {
    return this.#used;
  }

  /** Counts `count` more bytes as filled. */
  advance(count: number): void {
    this.#used += count;
  }

  /**
   * Makes room for `count` more bytes in one place.
   *
   * @returns The piece that had none; the caller's to keep.
   */
  reserve(count: number): Uint8Array | undefined {
    if (this.#used + count <= this.#bytes.length) return undefined;
    const full = this.take();
    const size = Math.max(this.#size, count);
    const spare = this.#spare.pop();
    this.#bytes = spare && spare.length >= size ? spare : new Uint8Array(size);
    this.#size = Math.min(2 * this.#size, PIECE_BYTES_MAX);
    return full;
  }

  /** What there is; undefined when that is nothing. */
  take(): Uint8Array | undefined {
    if (this.#used === 0) return undefined;
    const piece = this.#bytes.subarray(0, this.#used);
    this.#bytes = this.#bytes.subarray(this.#used);
    this.#used = 0;
    return piece;
  }
}
