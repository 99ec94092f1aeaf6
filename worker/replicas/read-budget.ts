import { ReplicaError, throwIfAborted } from "../../shared/errors.ts";

/** How soon a read that waits looks again: later each time, so that hundreds of them cost little. */
const POLL_MS_MIN = 2;
const POLL_MS_MAX = 32;
/** A read that has not come back for so long is taken to be gone with its request: most that leave are. */
const READ_GONE_MS = 5_000;
/** How long a read waits for its turn. */
const WAIT_MS_MAX = 30_000;

/** One read that is under way. */
export interface Reading {
  readonly bytes: number;
  readonly startedAtMs: number;
}

/**
 * Bounds the bytes that all requests of an isolate have asked the bucket for and not got yet: each may
 * have six reads of a megabyte under way, and 64 requests would fill the isolate with them.
 *
 * In workerd no request may wait for another's promise, so there is no queue: a read that has to wait
 * looks again on a timer of its own. A read larger than all that is allowed goes alone.
 */
export class ReadBudget {
  readonly #bytesMax: number;
  readonly #now: () => number;
  readonly #underWay = new Set<Reading>();
  #bytes = 0;
  #bytesHighest = 0;

  constructor({ bytesMax, now }: { bytesMax: number; now: () => number }) {
    this.#bytesMax = bytesMax;
    this.#now = now;
  }

  /** Bytes that are under way now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The most that were under way at a time. */
  get bytesHighest(): number {
    return this.#bytesHighest;
  }

  /**
   * Waits until there is room for a read; the caller must `end` it.
   *
   * @throws {ReplicaError} `ABORTED` when the signal fires, `OVERLOADED` when it would wait too long.
   */
  async begin(bytes: number, signal: AbortSignal | undefined): Promise<Reading> {
    const untilMs = this.#now() + WAIT_MS_MAX;
    for (
      let pauseMs = POLL_MS_MIN;
      !this.#hasRoomFor(bytes);
      pauseMs = Math.min(2 * pauseMs, POLL_MS_MAX)
    ) {
      if (this.#now() > untilMs) {
        throw new ReplicaError(
          "OVERLOADED",
          "a read from the bucket waited too long for its turn: other requests read too much here; try again in a second",
        );
      }
      await new Promise((resolve) => {
        setTimeout(resolve, pauseMs);
      });
      throwIfAborted(signal);
      this.#forgetGone();
    }
    const reading = { bytes, startedAtMs: this.#now() };
    this.#underWay.add(reading);
    this.#bytes += bytes;
    this.#bytesHighest = Math.max(this.#bytesHighest, this.#bytes);
    // Whoever began it may never come to end it when its client has left.
    signal?.addEventListener("abort", () => this.end(reading), { once: true });
    return reading;
  }

  end(reading: Reading): void {
    if (this.#underWay.delete(reading)) this.#bytes -= reading.bytes;
  }

  #hasRoomFor(bytes: number): boolean {
    return this.#underWay.size === 0 || this.#bytes + bytes <= this.#bytesMax;
  }

  /** The platform drops a request whose client has left, and with it what would have ended its reads. */
  #forgetGone(): void {
    const nowMs = this.#now();
    for (const reading of this.#underWay) {
      if (nowMs - reading.startedAtMs > READ_GONE_MS) this.end(reading);
    }
  }
}
