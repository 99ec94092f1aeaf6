import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { ReplicaError } from "../../shared/errors.ts";

export type IntegrityCheck = "none" | "quick" | "full";

/**
 * Has SQLite check a database file that nobody else uses.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` with the first thing that SQLite found.
 */
export function checkIntegrity(path: string, check: IntegrityCheck): void {
  if (check === "none") return;
  const url = pathToFileURL(path);
  // Immutable: SQLite then looks for no log and leaves no -wal and -shm beside the file.
  url.searchParams.set("immutable", "1");
  const first = firstProblem(url, check);
  if (first === undefined) return;
  throw new ReplicaError(
    "CORRUPT_PAGE",
    `the restored database fails its integrity check: ${first}`,
  );
}

function firstProblem(url: URL, check: "quick" | "full"): string | undefined {
  try {
    const database = new DatabaseSync(url, { readOnly: true });
    try {
      const pragma = check === "quick" ? "quick_check" : "integrity_check";
      const row = database.prepare(`PRAGMA ${pragma}(1)`).get();
      const answer = String(row?.[pragma]);
      return answer === "ok" ? undefined : answer;
    } finally {
      database.close();
    }
  } catch (cause) {
    return (cause as Error).message;
  }
}
