import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ReplicaError } from "../../shared/errors.ts";

/**
 * Lets one replicator at a time work on a staging directory. It is a lock of SQLite's on a file of
 * our own, so that the system frees it whatever ends the process.
 */
export class ProcessLock {
  readonly #database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** @throws {ReplicaError} `WRITER_CONFLICT` when another process has it. */
  static take(folder: string): ProcessLock {
    const owner = join(folder, "eddy.pid");
    const database = new DatabaseSync(join(folder, "eddy.lock"), { timeout: 0 });
    try {
      database.exec("BEGIN EXCLUSIVE");
    } catch (cause) {
      database.close();
      throw new ReplicaError(
        "WRITER_CONFLICT",
        `another replicator ${describeOwner(owner)} already works on this database: ${folder} is locked`,
        { cause },
      );
    }
    writeFileSync(owner, `${process.pid}\n`);
    return new ProcessLock(database);
  }

  release(): void {
    this.#database.close();
  }
}

function describeOwner(path: string): string {
  try {
    return `(process ${readFileSync(path, "utf8").trim()})`;
  } catch {
    // Only for the message: a lock without a note is a lock all the same.
    return "process";
  }
}
