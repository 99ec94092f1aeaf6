import { pageFrameBytesMax } from "../../ltx/page-frame.ts";

export interface BudgetOptions {
  /** In bytes. */
  readonly pageSize: number;
  /** Bytes that may be fetched for nothing beyond as many as were used. */
  readonly slackBytes: number;
  /** Bytes that are sure to be used and may be fetched before they are. */
  readonly sureBytesMax: number;
  /** Bytes of a page's frame, where they are known. */
  readonly frameBytes: (pgno: number) => number | undefined;
}

/**
 * Why a page is fetched: somebody asked for it, it is sure to be asked for as the query's own program says, or
 * it is only likely to be.
 */
export type Reason = "asked" | "sure" | "likely";

interface Fetched {
  /** What was put on the account for it, in bytes. */
  bytes: number;
  /** `asked` also where somebody has asked for it since. */
  reason: Reason;
}

/**
 * Sees to it that a query fetches at most twice the bytes that it uses, and some slack. A frame whose size
 * is not known counts for the most that it can have as long as it is not used, and for nothing when it is.
 *
 * What is sure to be used has an account of its own until it is: it takes nothing of what may be
 * fetched on a guess, and is bounded by itself, since the query may be cancelled before it uses it.
 */
export class PrefetchBudget {
  readonly #options: BudgetOptions;
  /** Pages that were fetched and are not both used and of a known size. */
  readonly #open = new Map<number, Fetched>();
  #fetchedBytes = 0;
  #usedBytes = 0;
  #sureBytes = 0;

  constructor(options: BudgetOptions) {
    this.#options = options;
  }

  /** Bytes that may be fetched ahead now on a guess. */
  get leftBytes(): number {
    return 2 * this.#usedBytes + this.#options.slackBytes - this.#fetchedBytes;
  }

  /** Bytes that may be fetched ahead now of what is sure to be used. */
  get leftSureBytes(): number {
    return this.#options.sureBytesMax - this.#sureBytes;
  }

  /** What fetching a page takes, in bytes: at most, where its frame's size is not known. */
  costOf(pgno: number): number {
    const { pageSize, frameBytes } = this.#options;
    return frameBytes(pgno) ?? pageFrameBytesMax(pageSize);
  }

  /** Puts a page that is fetched on the account. */
  fetch(pgno: number, reason: Reason): void {
    const before = this.#open.get(pgno);
    // It came and went before anybody used it, so that it came for nothing.
    if (before?.reason === "sure") this.#book(before, "likely");
    const fetched: Fetched = { bytes: 0, reason };
    this.#charge(fetched, this.costOf(pgno));
    this.#open.set(pgno, fetched);
    this.settle(pgno);
  }

  /** Takes a page off the account that was not fetched after all. */
  leaveOut(pgno: number): void {
    const fetched = this.#open.get(pgno);
    if (fetched === undefined || fetched.reason === "asked") return;
    this.#charge(fetched, 0);
    this.#open.delete(pgno);
  }

  /** Puts bytes on the account that were read along, between two frames. */
  fetchGap(bytes: number): void {
    this.#fetchedBytes += bytes;
  }

  /** Notes that a page is used; says whether it was fetched ahead, and this is the first time. */
  use(pgno: number): boolean {
    const fetched = this.#open.get(pgno);
    if (fetched === undefined) return false;
    const isFirst = fetched.reason !== "asked";
    this.#book(fetched, "asked");
    this.settle(pgno);
    return isFirst;
  }

  /** Nothing that was fetched so far is sure to be used any more: another statement runs. */
  endSurety(): void {
    if (this.#sureBytes === 0) return;
    for (const fetched of this.#open.values()) {
      if (fetched.reason === "sure") this.#book(fetched, "likely");
    }
  }

  /** Says whether a page was fetched ahead and nobody has asked for it since. */
  isUnused(pgno: number): boolean {
    const fetched = this.#open.get(pgno);
    return fetched !== undefined && fetched.reason !== "asked";
  }

  /** Looks whether the size of a page's frame has become known. */
  settle(pgno: number): void {
    const fetched = this.#open.get(pgno);
    const bytes = fetched && this.#options.frameBytes(pgno);
    if (fetched === undefined || bytes === undefined) return;
    this.#charge(fetched, bytes);
    if (fetched.reason !== "asked") return;
    this.#usedBytes += bytes;
    this.#open.delete(pgno);
  }

  /** Sets what a page takes of the account that it is on. */
  #charge(fetched: Fetched, bytes: number): void {
    const more = bytes - fetched.bytes;
    fetched.bytes = bytes;
    if (fetched.reason === "sure") this.#sureBytes += more;
    else this.#fetchedBytes += more;
  }

  /** Moves a page to the account of another reason. */
  #book(fetched: Fetched, reason: Reason): void {
    const { bytes } = fetched;
    this.#charge(fetched, 0);
    fetched.reason = reason;
    this.#charge(fetched, bytes);
  }
}
