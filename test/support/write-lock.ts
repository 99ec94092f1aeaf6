import { setImmediate } from "node:timers/promises";
import type { DatabaseSync } from "node:sqlite";

/**
 * Commits `write` in one transaction. An application in the replicator's own process must not wait for
 * the write lock in SQLite: the replicator, which holds it for a moment, could not go on.
 */
export async function commitWhenFree(app: DatabaseSync, write: () => void): Promise<void> {
  // Bounded by the checkpoint that holds the lock.
  for (;;) {
    try {
      app.exec("BEGIN IMMEDIATE");
      break;
    } catch (error) {
      if (!/locked/.test((error as Error).message)) throw error;
      await setImmediate();
    }
  }
  write();
  app.exec("COMMIT");
}
