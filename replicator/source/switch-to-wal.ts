import type { DatabaseSync } from "node:sqlite";
import { ReplicaError, isReplicaError } from "../../shared/errors.ts";

/**
 * Switches a database to WAL mode, and says whether that was needed.
 *
 * @throws {ReplicaError} `SOURCE_INVALID` with the reason, and what to do.
 */
export function switchToWal(database: DatabaseSync, path: string): boolean {
  const modeOf = (sql: string) => String(database.prepare(sql).get()?.["journal_mode"]);
  try {
    const before = modeOf("PRAGMA journal_mode");
    if (before === "wal") return false;
    const after = modeOf("PRAGMA journal_mode = wal");
    if (after === "wal") return true;
    throw new ReplicaError(
      "SOURCE_INVALID",
      `${path} is in journal mode "${before}" and cannot be switched to WAL: its file system may lack shared memory`,
    );
  } catch (cause) {
    if (isReplicaError(cause)) throw cause;
    const message = (cause as Error).message;
    const advice = /locked|busy/i.test(message)
      ? "an application holds it; stop the application once, or run `PRAGMA journal_mode = wal` in it, and let it keep SQLite's normal locking mode"
      : "it must be a sound database that this user may write";
    const sentence = `${path} cannot be switched to WAL mode (${message}): ${advice}`;
    throw new ReplicaError("SOURCE_INVALID", sentence, { cause });
  }
}
