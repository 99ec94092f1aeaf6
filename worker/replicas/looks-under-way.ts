import { throwIfAborted } from "../../shared/errors.ts";

/** How soon who waits looks again: later each time. */
const POLL_MS_MIN = 1;
const POLL_MS_MAX = 16;
/** About two seconds; a look that takes longer is no gain to wait for, or gone with its request. */
const POLLS_MAX = 130;

/**
 * Who of an isolate's requests is looking at a replica now, so that those that come meanwhile can use
 * what is found instead of all doing the same. In workerd no request may wait for another's promise: who
 * waits looks again on a timer of its own, and not for long.
 */
export class LooksUnderWay {
  readonly #looks = new Map<string, symbol>();

  /** Says that a look at `path` begins; the caller must call what it gives back when it ends. */
  begin(path: string): () => void {
    const look = Symbol(path);
    this.#looks.set(path, look);
    return () => {
      if (this.#looks.get(path) === look) this.#looks.delete(path);
    };
  }

  /** To be asked right before `begin`: between the two nothing may be awaited. */
  has(path: string): boolean {
    return this.#looks.has(path);
  }

  /**
   * Waits for a look at `path` to end.
   *
   * @throws {ReplicaError} `ABORTED` when the signal fires.
   */
  async wait(path: string, signal: AbortSignal | undefined): Promise<void> {
    const look = this.#looks.get(path);
    if (!look) return;
    let pauseMs = POLL_MS_MIN;
    for (let poll = 0; poll < POLLS_MAX && this.#looks.get(path) === look; poll++) {
      await new Promise((resolve) => {
        setTimeout(resolve, pauseMs);
      });
      throwIfAborted(signal);
      pauseMs = Math.min(2 * pauseMs, POLL_MS_MAX);
    }
  }
}
