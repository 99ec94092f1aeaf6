import { isReplicaError } from "../../shared/errors.ts";
import { isDiskFull } from "../storage/disk-full.ts";
import type { ReplicationEvent } from "./events.ts";

const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 30_000;

export interface PatienceOptions {
  readonly onEvent: (event: ReplicationEvent) => void;
  /** Called when the disk is full, to remove what can be spared. */
  readonly makeRoom: () => Promise<void>;
  /** Files that are staged and not in the store. */
  readonly waiting: () => number;
  /** A clock that never steps, in milliseconds. */
  readonly now: () => number;
}

/**
 * Waits out what keeps commits from being staged and passes by itself: a disk without room, or a
 * store that does not say where to go on. Meanwhile they stay in the database's log.
 */
export class Patience {
  readonly #options: PatienceOptions;
  #failures = 0;
  #retryAtMs = Number.NEGATIVE_INFINITY;
  /** Since when there is no room. */
  #fullSinceMs: number | undefined;

  constructor(options: PatienceOptions) {
    this.#options = options;
  }

  /**
   * Does `work`, unless it failed so recently that it is not worth trying.
   *
   * @returns When to call again at the latest, in milliseconds: what `work` answers, or its failure's wait.
   * @throws What `work` throws, where waiting does not help.
   */
  async attempt(work: () => Promise<number | undefined>): Promise<number | undefined> {
    const { now, onEvent } = this.#options;
    const leftMs = this.#retryAtMs - now();
    if (leftMs > 0) return leftMs;
    try {
      const answer = await work();
      if (this.#fullSinceMs !== undefined) {
        onEvent({ event: "resumed", paused_ms: Math.round(now() - this.#fullSinceMs) });
      }
      this.#fullSinceMs = undefined;
      this.#failures = 0;
      return answer;
    } catch (error) {
      return await this.#waitAfter(error);
    }
  }

  async #waitAfter(error: unknown): Promise<number> {
    const { now, onEvent, waiting, makeRoom } = this.#options;
    const retryMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** this.#failures);
    if (isDiskFull(error)) {
      this.#fullSinceMs ??= now();
      onEvent({ event: "disk-full", message: (error as Error).message, retry_ms: retryMs });
      await makeRoom();
    } else if (isReplicaError(error, "R2_ERROR") || isReplicaError(error, "STORE_DENIED")) {
      const { message } = error;
      onEvent({ event: "store-unavailable", message, retry_ms: retryMs, waiting: waiting() });
    } else {
      throw error;
    }
    this.#failures++;
    this.#retryAtMs = now() + retryMs;
    return retryMs;
  }
}
