import { ReplicaError, throwIfAborted } from "../errors.ts";

/** How often and how long a store is asked again. */
export interface RetryPolicy {
  /** First attempt included. */
  readonly attemptsMax: number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  /** Resolves after `ms`; rejects or resolves early when `signal` fires. */
  readonly sleep: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
}

const FIRST_DELAY_MS = 200;
const DELAY_MS_MAX = 10_000;

/** A failure that may pass by itself. */
export class PassingFailure extends Error {
  override readonly name = "PassingFailure";
  /** What the caller is told when no attempt is left. */
  readonly final: ReplicaError;
  /** How long the store asks to be left alone, in milliseconds. */
  readonly retryAfterMs: number;

  constructor(final: ReplicaError, retryAfterMs = 0) {
    super(final.message, { cause: final });
    this.final = final;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Repeats `attempt` while it throws `PassingFailure`, waiting longer each time. A random share of
 * each wait keeps many clients from coming back at the same moment.
 *
 * @param attempt Is given the number of attempts before it.
 * @throws {ReplicaError} `ABORTED`, what the last `PassingFailure` carries, or what else `attempt`
 *   throws.
 */
export async function withRetries<T>(
  policy: RetryPolicy,
  signal: AbortSignal | undefined,
  attempt: (failures: number) => Promise<T>,
): Promise<T> {
  for (let failures = 0; ;) {
    throwIfAborted(signal);
    try {
      return await attempt(failures);
    } catch (error) {
      throwIfAborted(signal);
      if (!(error instanceof PassingFailure)) throw error;
      if (++failures >= policy.attemptsMax) throw afterAttempts(error.final, failures);
      const delayMs = Math.min(FIRST_DELAY_MS * 2 ** (failures - 1), DELAY_MS_MAX);
      const jitteredMs = delayMs * (0.5 + policy.random() / 2);
      await policy.sleep(Math.max(jitteredMs, Math.min(error.retryAfterMs, DELAY_MS_MAX)), signal);
    }
  }
}

/** Waits with the runtime's timer; returns early when `signal` fires. */
export function sleepWithTimer(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
    if (signal?.aborted) done();
  });
}

function afterAttempts(final: ReplicaError, attempts: number): ReplicaError {
  if (attempts === 1) return final;
  const { code, message, cause, details } = final;
  return new ReplicaError(code, `${message} (${attempts} attempts)`, { cause, details });
}
