import { ReplicaError, throwIfAborted } from "../../shared/errors.ts";

export interface AdmissionLimits {
  readonly runningMax: number;
  /** Running and waiting together. */
  readonly inFlightMax: number;
}

/** How often a query that waits looks again. */
const POLL_MS = 4;
/** A query that waits and has not looked for so long is gone with its client. */
const WAITER_GONE_MS = 2_000;
/** A query that runs and has not moved for so long is gone with its client, and never ends. */
const RUNNER_GONE_MS = 30_000;
/** How long a query waits for its turn. */
const WAIT_MS_MAX = 30_000;

/** One query's place: waiting, then running. */
export interface Ticket {
  /** When it last showed that somebody still moves it. */
  seenMs: number;
}

/**
 * Lets a few queries run at a time. In workerd no request may wait for another's promise, so there is
 * no queue: whoever waits looks again on a timer of its own, the longest waiting goes first, and who
 * stops looking is forgotten.
 */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #running = new Set<Ticket>();
  /** In the order in which they came. */
  readonly #waiting = new Set<Ticket>();
  readonly #now: () => number;
  #goneRunners = 0;

  constructor(limits: AdmissionLimits, now: () => number = Date.now) {
    this.#limits = limits;
    this.#now = now;
  }

  /** Queries that had a turn and never gave it back: their clients left, and nothing moves them. */
  get goneRunnerCount(): number {
    return this.#goneRunners;
  }

  get runningCount(): number {
    return this.#running.size;
  }

  get waitingCount(): number {
    return this.#waiting.size;
  }

  /**
   * Waits for a turn; the caller must `leave` with the ticket.
   *
   * @throws {ReplicaError} `OVERLOADED` when too many are in flight, or it would wait too long;
   *   `ABORTED` when the signal fires.
   */
  async enter(signal: AbortSignal | undefined): Promise<Ticket> {
    throwIfAborted(signal);
    this.#forgetGone();
    if (this.#running.size + this.#waiting.size >= this.#limits.inFlightMax) {
      throw new ReplicaError(
        "OVERLOADED",
        `${this.#limits.inFlightMax} queries are in flight here; try again in a second`,
      );
    }
    const ticket = { seenMs: this.#now() };
    this.#waiting.add(ticket);
    try {
      await this.#waitForTurn(ticket, signal);
    } finally {
      this.#waiting.delete(ticket);
    }
    this.#running.add(ticket);
    return ticket;
  }

  /** Says that the query is still moved by somebody. */
  moved(ticket: Ticket): void {
    ticket.seenMs = this.#now();
  }

  leave(ticket: Ticket): void {
    this.#running.delete(ticket);
  }

  /** Waits, but not for long, until this query is the only one that runs. */
  async waitUntilAlone(ticket: Ticket, signal: AbortSignal | undefined): Promise<void> {
    const untilMs = this.#now() + WAITER_GONE_MS;
    while (this.#running.size > 1 && this.#now() < untilMs) {
      await poll();
      ticket.seenMs = this.#now();
      throwIfAborted(signal);
    }
  }

  async #waitForTurn(ticket: Ticket, signal: AbortSignal | undefined): Promise<void> {
    const untilMs = ticket.seenMs + WAIT_MS_MAX;
    while (!this.#isTurnOf(ticket)) {
      if (this.#now() > untilMs) {
        throw new ReplicaError("OVERLOADED", "the query waited for its turn for too long");
      }
      await poll();
      throwIfAborted(signal);
      ticket.seenMs = this.#now();
      // Where nobody could look for a while, whoever looked first has taken the others to be gone.
      this.#waiting.add(ticket);
      this.#forgetGone();
    }
  }

  #isTurnOf(ticket: Ticket): boolean {
    const [first] = this.#waiting;
    return first === ticket && this.#running.size < this.#limits.runningMax;
  }

  #forgetGone(): void {
    const nowMs = this.#now();
    for (const ticket of this.#waiting) {
      if (nowMs - ticket.seenMs > WAITER_GONE_MS) this.#waiting.delete(ticket);
    }
    for (const ticket of this.#running) {
      if (nowMs - ticket.seenMs <= RUNNER_GONE_MS) continue;
      this.#running.delete(ticket);
      this.#goneRunners++;
    }
  }
}

function poll(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, POLL_MS);
  });
}
