import { decodePageFrame, encodePageFrame, pageFrameBytesMax } from "../../ltx/page-frame.ts";
import { childPgnos } from "../../sqlite/btree-page.ts";

/**
 * Pages that may be interior pages of a B-tree, compressed, by number: only the way from a root tells
 * which are. Some half percent of a database.
 */
export class InteriorFrames {
  readonly #frames = new Map<number, Uint8Array>();
  readonly #pageSize: number;
  readonly #scratch: Uint8Array;

  constructor(pageSize: number) {
    this.#pageSize = pageSize;
    this.#scratch = new Uint8Array(pageFrameBytesMax(pageSize));
  }

  /** Takes a page's newest version, where it may be an interior page, and forgets the one before it. */
  offer(pgno: number, page: Uint8Array, commit: number): void {
    const children = childPgnos(pgno, page);
    if (children?.every((child) => child > 1 && child <= commit)) {
      this.#frames.set(pgno, this.encode(pgno, page));
    } else {
      this.#frames.delete(pgno);
    }
  }

  /** Forgets the pages behind a database's end. */
  truncate(commit: number): void {
    for (const pgno of this.#frames.keys()) if (pgno > commit) this.#frames.delete(pgno);
  }

  has(pgno: number): boolean {
    return this.#frames.has(pgno);
  }

  frame(pgno: number): Uint8Array | undefined {
    return this.#frames.get(pgno);
  }

  page(pgno: number): Uint8Array | undefined {
    const frame = this.#frames.get(pgno);
    return frame && decodePageFrame(frame, this.#pageSize).page;
  }

  /** Any page as a frame that holds an LZ4 block. */
  encode(pgno: number, page: Uint8Array): Uint8Array {
    return this.#scratch.slice(0, encodePageFrame({ pgno, page }, this.#scratch, "block"));
  }
}
