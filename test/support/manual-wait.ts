/** A wait that ends when a test says so. */
import type { Wait } from "../../replicator/control/every.ts";

export interface ManualWait {
  readonly wait: Wait;
  /** Resolves with the milliseconds that are waited for, when the next wait has begun. */
  waited(): Promise<number>;
  /** Ends the wait that is under way. */
  pass(): void;
}

export function manualWait(): ManualWait {
  let begun = Promise.withResolvers<number>();
  let current = Promise.withResolvers<void>();
  return {
    async wait(ms, signal) {
      current = Promise.withResolvers();
      const { resolve, promise } = current;
      signal.addEventListener("abort", () => resolve(), { once: true });
      begun.resolve(ms);
      await promise;
    },
    async waited() {
      const ms = await begun.promise;
      begun = Promise.withResolvers();
      return ms;
    },
    pass: () => current.resolve(),
  };
}
