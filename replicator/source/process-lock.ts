import { accessSync, constants, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ReplicaError } from "../../shared/errors.ts";
import { codeOf } from "../storage/durable-file.ts";
import { reasonOf } from "../storage/folder-error.ts";

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

  /**
   * @throws {ReplicaError} `WRITER_CONFLICT` when another process has it, `LOCAL_FILE` when the directory
   *   is not to be written to.
   */
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
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(pathIn(folder), { timeout: 0 });
    database.exec("BEGIN EXCLUSIVE");
    // A file that it may not write SQLite only reads, and locks nothing.
    accessSync(pathIn(folder), constants.W_OK);
    writeFileSync(owner, `${process.pid}\n`);
    return database;
  } catch (cause) {
    database?.close();
    const isOfSqlite = codeOf(cause) === "ERR_SQLITE_ERROR";
    const { message } = cause as Error;
    if (isOfSqlite && /locked|busy/i.test(message)) {
      const who = `another replicator ${describeOwner(owner)}`;
      const sentence = `${who} already works on this database: ${folder} is locked`;
      throw new ReplicaError("WRITER_CONFLICT", sentence, { cause });
    }
    throw new ReplicaError(
      "LOCAL_FILE",
      `cannot lock the staging directory ${folder}: ${isOfSqlite ? message : reasonOf(cause)}. Where another user ran the replicator before, make the directory and all that is in it belong to this one`,
      { cause },
    );
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
