import type { Engine } from "./engine.ts";
import { checkSource } from "./lazy-file.ts";
import type { LiveInstance } from "./live-instance.ts";
import { isOutOfMemory } from "./query-error.ts";
import type { StatementRequest } from "./query.ts";

/**
 * Does `work` on the engine's instance when it is the request's turn, and once more where the others
 * had taken all memory.
 *
 * @param work Given the instance, and what to call whenever the request has moved.
 * @throws {ReplicaError} `OVERLOADED`, `ABORTED`, `CORRUPT_PAGE`, and what `work` throws.
 */
export async function takeTurn<T>(
  engine: Engine,
  { source, signal }: StatementRequest,
  work: (live: LiveInstance, moved: () => void) => Promise<T>,
): Promise<T> {
  const { admission } = engine;
  checkSource(source);
  const ticket = await admission.enter(signal);
  const moved = (): void => {
    admission.moved(ticket);
  };
  try {
    const { live } = engine;
    try {
      return await work(live, moved);
    } catch (error) {
      if (!isOutOfMemory(error)) throw error;
      // The heap is everybody's: once more without the idle connections and, if it can be, alone.
      await admission.waitUntilAlone(ticket, signal);
      if (!live.isRetired) live.pool.closeAll();
      return await work(engine.live, moved);
    }
  } finally {
    admission.leave(ticket);
  }
}
