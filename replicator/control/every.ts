import { setTimeout } from "node:timers/promises";

/** Waits, and returns at once when `signal` fires. */
export type Wait = (ms: number, signal: AbortSignal) => Promise<void>;

export interface EveryOptions {
  readonly intervalMs: number;
  readonly task: (signal: AbortSignal) => Promise<void>;
  readonly wait?: Wait | undefined;
}

/**
 * Runs `task` once an interval, the first time after one. When the result is disposed of, the signal of a
 * task that is under way fires, and it is waited for.
 */
export function every({ intervalMs, task, wait = waitForTimer }: EveryOptions): AsyncDisposable {
  const stop = new AbortController();
  const { signal } = stop;
  const run = async () => {
    // Until it is disposed of.
    while (!signal.aborted) {
      await wait(intervalMs, signal);
      if (!signal.aborted) await task(signal);
    }
  };
  const ended = run();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ended;
    },
  };
}

async function waitForTimer(ms: number, signal: AbortSignal): Promise<void> {
  // It rejects for one reason only: the signal.
  await setTimeout(ms, undefined, { signal }).catch(() => undefined);
}
