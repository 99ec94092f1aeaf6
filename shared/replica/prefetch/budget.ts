import { pageFrameBytesMax } from "../../ltx/page-frame.ts";

export interface BudgetOptions {
  /** In bytes. */
  readonly pageSize: number;
  /** Bytes that may be fetched for nothing beyond as many as were used. */
  readonly slackBytes: number;
  /** Bytes of a page's frame, where they are known. */
  readonly frameBytes: (pgno: number) => number | undefined;
}

interface Fetched {
  /** What was put on the account for it, in bytes. */
  bytes: number;
  /** Somebody asked for it, then or since. */
  used: boolean;
}

/**
 * Sees to it that a query fetches at most twice the bytes that it uses, and some slack. A frame whose size
 * is not known counts for the most that it can have as long as it is not used, and for nothing when it is.
 */
export class PrefetchBudget {
  readonly #options: BudgetOptions;
  /** Pages that were fetched and are not both used and of a known size. */
  readonly #open = new Map<number, Fetched>();
  #fetchedBytes = 0;
  #usedBytes = 0;

  constructor(options: BudgetOptions) {
    this.#options = options;
  }

  /** Bytes that may be fetched ahead now. */
  get leftBytes(): number {
    return 2 * this.#usedBytes + this.#options.slackBytes - this.#fetchedBytes;
  }

  /** What fetching a page takes, in bytes: at most, where its frame's size is not known. */
  costOf(pgno: number): number {
    const { pageSize, frameBytes } = this.#options;
    return frameBytes(pgno) ?? pageFrameBytesMax(pageSize);
  }

  /** Puts a page that is fetched on the account. */
  fetch(pgno: number, { asked }: { asked: boolean }): void {
    const bytes = this.costOf(pgno);
    this.#fetchedBytes += bytes;
    this.#open.set(pgno, { bytes, used: asked });
    this.settle(pgno);
  }

  /** Takes a page off the account that was not fetched after all. */
  leaveOut(pgno: number): void {
    const fetched = this.#open.get(pgno);
    if (fetched?.used !== false) return;
    this.#fetchedBytes -= fetched.bytes;
    this.#open.delete(pgno);
  }

  /** Puts bytes on the account that were read along, between two frames. */
  fetchGap(bytes: number): void {
    this.#fetchedBytes += bytes;
  }

  use(pgno: number): void {
    const fetched = this.#open.get(pgno);
    if (fetched === undefined) return;
    fetched.used = true;
    this.settle(pgno);
  }

  /** Says whether a page was fetched ahead and nobody has asked for it since. */
  isUnused(pgno: number): boolean {
    return this.#open.get(pgno)?.used === false;
  }

  /** Looks whether the size of a page's frame has become known. */
  settle(pgno: number): void {
    const fetched = this.#open.get(pgno);
    const bytes = fetched && this.#options.frameBytes(pgno);
    if (fetched === undefined || bytes === undefined) return;
    this.#fetchedBytes += bytes - fetched.bytes;
    fetched.bytes = bytes;
    if (!fetched.used) return;
    this.#usedBytes += bytes;
    this.#open.delete(pgno);
  }
}
