import { ReplicaError } from "../errors.ts";
import { lockPgno } from "../sqlite/database-header.ts";
import { isSnapshot, type LtxHeader } from "./header.ts";

/**
 * The rules on which pages an LTX file holds: ascending, none beyond the end of the database, never
 * the lock page, and in a snapshot all of them. Decoder and encoder share it; the reference
 * implementation keeps some of these rules when it writes and none when it reads.
 */
export class PageOrder {
  readonly #commit: number;
  readonly #lockPgno: number;
  readonly #isSnapshot: boolean;
  #last = 0;

  constructor(header: LtxHeader) {
    this.#commit = header.commit;
    this.#lockPgno = lockPgno(header.pageSize);
    this.#isSnapshot = isSnapshot(header);
  }

  /**
   * Takes the next page.
   *
   * @throws {ReplicaError} `CORRUPT_PAGE` when it may not come here.
   */
  add(pgno: number): void {
    if (pgno <= this.#last) refuse(`page ${pgno} follows page ${this.#last}`);
    if (pgno > this.#commit) {
      refuse(`page ${pgno} lies beyond the end of the database, page ${this.#commit}`);
    }
    if (pgno === this.#lockPgno)
      refuse(`page ${pgno} is SQLite's lock page, which is never stored`);
    if (this.#isSnapshot && pgno !== this.#next()) refuseMissing(this.#next());
    this.#last = pgno;
  }

  /**
   * Ends the pages.
   *
   * @throws {ReplicaError} `CORRUPT_PAGE` when a snapshot lacks pages.
   */
  finish(): void {
    if (this.#isSnapshot && this.#next() <= this.#commit) refuseMissing(this.#next());
  }

  #next(): number {
    return this.#last + 1 === this.#lockPgno ? this.#last + 2 : this.#last + 1;
  }
}

function refuseMissing(pgno: number): never {
  return refuse(`page ${pgno} is missing from a snapshot`);
}

function refuse(what: string): never {
  throw new ReplicaError("CORRUPT_PAGE", `the LTX file is damaged: ${what}`);
}
