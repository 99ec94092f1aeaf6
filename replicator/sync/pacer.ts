/** So many files go at once after quiet. */
const BURST = 30;
/** Files that may wait for the store before the log is left to fill: one is under way, one is next. */
const WAITING_MAX = 2;
/** While the store is slow or away, the log is read this often all the same, in milliseconds. */
const BEHIND_INTERVAL_MS = 1_000;

export interface PacerOptions {
  /** What steady writing comes down to: one file in so many milliseconds. */
  readonly intervalMs: number;
  /** A clock that never steps, in milliseconds. */
  readonly now: () => number;
}

/**
 * Says when the log may be read into the next file. Each file costs a PUT, so there is a bucket of
 * tokens: commits after quiet go at once, steady writing settles at one file an interval. Where the
 * store is slower than that, commits gather in the log instead of in ever more small files; but once a
 * second one is made all the same, so that each second can be restored.
 */
export class Pacer {
  readonly #intervalMs: number;
  readonly #now: () => number;
  #tokens = BURST;
  #filledMs: number;
  #takenMs = Number.NEGATIVE_INFINITY;

  constructor({ intervalMs, now }: PacerOptions) {
    this.#intervalMs = intervalMs;
    this.#now = now;
    this.#filledMs = now();
  }

  /** Milliseconds until the next file may be made, while `waiting` files are not in the store; 0: now. */
  waitMs(waiting: number): number {
    this.#fill();
    const forToken = this.#tokens >= 1 ? 0 : (1 - this.#tokens) * this.#intervalMs;
    const behindMs = Math.max(this.#intervalMs, BEHIND_INTERVAL_MS);
    const forStore = waiting < WAITING_MAX ? 0 : this.#takenMs + behindMs - this.#now();
    return Math.max(0, Math.ceil(Math.max(forToken, forStore)));
  }

  /** A file was made. */
  take(): void {
    this.#fill();
    this.#tokens = Math.max(0, this.#tokens - 1);
    this.#takenMs = this.#now();
  }

  #fill(): void {
    const now = this.#now();
    const intervals = this.#intervalMs === 0 ? BURST : (now - this.#filledMs) / this.#intervalMs;
    this.#tokens = Math.min(BURST, this.#tokens + intervals);
    this.#filledMs = now;
  }
}
