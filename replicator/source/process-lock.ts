import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ReplicaError } from "../../shared/errors.ts";

/**
 * Lets one replicator at a time work on a staging directory. It is a lock of SQLite's on a file of
 * our own, so that the system frees it whatever ends the process.
 */
export class ProcessLock {
  readonly #folder: string;
  #database: DatabaseSync;
  /** Of the file that is locked: under its name there may be another one by now, or none. */
  #inode: number;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#database = lockFile(folder);
    this.#inode = inodeOf(folder) ?? 0;
  }

  /** @throws {ReplicaError} `WRITER_CONFLICT` when another process has it. */
  static take(folder: string): ProcessLock {
    return new ProcessLock(folder);
  }

  /** False when the file that is locked was deleted: another process can lock a new one then. */
  isInPlace(): boolean {
    return inodeOf(this.#folder) === this.#inode;
  }

  /**
   * Takes the lock once more, after its file was deleted.
   *
   * @throws {ReplicaError} `WRITER_CONFLICT` when another process was faster.
   */
  retake(): void {
    const lost = this.#database;
    this.#database = lockFile(this.#folder);
    this.#inode = inodeOf(this.#folder) ?? 0;
    // Last: while it is open, no new file can have its inode's number.
    lost.close();
  }

  release(): void {
    this.#database.close();
  }
}

function pathIn(folder: string): string {
  return join(folder, "eddy.lock");
}

function inodeOf(folder: string): number | undefined {
  return statSync(pathIn(folder), { throwIfNoEntry: false })?.ino;
}

function lockFile(folder: string): DatabaseSync {
  const owner = join(folder, "eddy.pid");
  const database = new DatabaseSync(pathIn(folder), { timeout: 0 });
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
  return database;
}

function describeOwner(path: string): string {
  try {
    return `(process ${readFileSync(path, "utf8").trim()})`;
  } catch {
    // Only for the message: a lock without a note is a lock all the same.
    return "process";
  }
}
