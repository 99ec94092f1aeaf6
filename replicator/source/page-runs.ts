import { readSync } from "node:fs";

/** Pages that follow each other are read together, up to so many bytes. */
const RUN_BYTES_MAX = 1024 * 1024;

/**
 * Reads pages of an open database file, ahead where they are asked for in order. For one pass only, in
 * which the file does not change: what was read ahead is never read again.
 */
export class PageRuns {
  readonly #fd: number;
  readonly #pageSize: number;
  #buffer = new Uint8Array(0);
  /** The first page in the buffer, and how many are there. */
  #first = 0;
  #count = 0;

  constructor(fd: number, pageSize: number) {
    this.#fd = fd;
    this.#pageSize = pageSize;
  }

  /** A page; bytes beyond the file's end are zeros. It holds until the next is asked for. */
  read(pgno: number): Uint8Array {
    if (pgno < this.#first || pgno >= this.#first + this.#count) this.#fill(pgno);
    const start = (pgno - this.#first) * this.#pageSize;
    return this.#buffer.subarray(start, start + this.#pageSize);
  }

  /** One page where others were passed over, otherwise twice as many as the time before. */
  #fill(pgno: number): void {
    const isNext = pgno === this.#first + this.#count;
    const countMax = Math.max(1, RUN_BYTES_MAX / this.#pageSize);
    this.#count = isNext ? Math.min(2 * this.#count, countMax) : 1;
    this.#first = pgno;
    const length = this.#count * this.#pageSize;
    if (this.#buffer.length < length) this.#buffer = new Uint8Array(length);
    const offset = (pgno - 1) * this.#pageSize;
    let done = 0;
    while (done < length) {
      const read = readSync(this.#fd, this.#buffer, done, length - done, offset + done);
      if (read === 0) break;
      done += read;
    }
    this.#buffer.fill(0, done, length);
  }
}
