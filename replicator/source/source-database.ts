import {
  accessSync,
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  openSync,
  statSync,
} from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setImmediate } from "node:timers/promises";
import { promisify } from "node:util";
import { ReplicaError, isReplicaError } from "../../shared/errors.ts";
import { PassiveCheckpointer, type CheckpointResult } from "./passive-checkpointer.ts";
import { PageRuns } from "./page-runs.ts";
import { beginReading, countFrames } from "./read-transaction.ts";
import { refuseOldSqlite } from "./sqlite-version.ts";
import { switchToWal } from "./switch-to-wal.ts";
import { readAt } from "../files/read-at.ts";
import { realPath } from "../files/real-path.ts";
import { DATABASE_HEADER_BYTES, parseDatabaseHeader } from "../../shared/sqlite/database-header.ts";
import { isSameWal, type WalHeader } from "../wal/wal-header.ts";
import { readWalHeader } from "../wal/wal-reader.ts";

const fdatasyncAsync = promisify(fdatasync);

/** Our own connections wait so long for the application's locks, in milliseconds. */
const BUSY_TIMEOUT_MS = 1_000;
/** The write lock is tried for so long at a stretch; then whatever else is ready has its turn. */
const LOCK_SLICE_MS = 5;
/** After so long without the write lock, its holder means to keep it. */
const LOCK_WAIT_MS = 500;

/**
 * The application's database. It is read through one file descriptor that stays open until the
 * process ends: closing any descriptor of the file would drop all locks that this process holds on it,
 * SQLite's own among them.
 */
export class SourceDatabase {
  /** Without links. */
  readonly path: string;
  /** May lead to another file one day. */
  readonly #givenPath: string;
  readonly pageSize: number;
  /** The database was not in WAL mode before it was opened. */
  readonly wasSwitchedToWal: boolean;
  readonly #fd: number;
  /** Holds the read transaction that keeps the log from being begun anew. */
  #reader: DatabaseSync;
  /** Takes that over, so that there is no moment without it. */
  #nextReader: DatabaseSync;
  #framesAtLock = 0;
  #logAtLock: WalHeader | undefined;
  /** The log's file as it was when our connections opened it. */
  #walInode: number | undefined;
  readonly #writer: DatabaseSync;
  readonly #checkpointer: PassiveCheckpointer;

  private constructor(path: string, fd: number, givenPath: string) {
    this.path = path;
    this.#givenPath = givenPath;
    this.#fd = fd;
    this.pageSize = describe(
      path,
      () => parseDatabaseHeader(readAt(this.#fd, 0, DATABASE_HEADER_BYTES)).pageSize,
    );
    this.#reader = connect(path);
    this.#nextReader = connect(path);
    this.#writer = connect(path, 0);
    this.#checkpointer = new PassiveCheckpointer(path);
    this.wasSwitchedToWal = switchToWal(this.#reader, path);
  }

  /** @throws {ReplicaError} `SOURCE_INVALID` with the reason, `BAD_CONFIG` for an old SQLite. */
  static open(path: string): SourceDatabase {
    refuseOldSqlite();
    const file = realPath(path);
    const fd = openFile(file);
    try {
      return new SourceDatabase(file, fd, path);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  get walPath(): string {
    return `${this.path}-wal`;
  }

  /**
   * Begins to hold the read transaction. From now on nobody begins the log anew, but for once: when
   * all of it was in the database file at this moment. And nobody copies into the database file what is
   * committed after this moment.
   */
  holdReadLock(): void {
    try {
      beginReading(this.#reader);
      this.#lookAtLog();
      this.#walInode ??= inodeOf(this.walPath);
    } catch (cause) {
      const sentence = `${this.path} cannot be read in WAL mode (${(cause as Error).message}): ${this.path}-wal and ${this.path}-shm must be files that this user may write, on a file system with shared memory and locks`;
      throw new ReplicaError("SOURCE_INVALID", sentence, { cause });
    }
  }

  /** After the lock is held: what is committed later does no harm. */
  #lookAtLog(): void {
    this.#framesAtLock = countFrames(this.#nextReader);
    this.#logAtLock = readWalHeader(this.walPath);
  }

  /**
   * Committed frames in the log when the read lock was taken or moved last. Only a log that ended there,
   * with all of it in the database file, can have been begun anew since.
   */
  get framesAtLock(): number {
    return this.#framesAtLock;
  }

  /** Committed frames in the log now, as SQLite counts them; less than 0 while somebody checkpoints. */
  committedFrames(): number {
    return countFrames(this.#nextReader);
  }

  /** Says whether the log with this header was begun after the read lock was taken or moved last. */
  isLogBegunSinceLock(header: WalHeader): boolean {
    return this.#logAtLock !== undefined && !isSameWal(header, this.#logAtLock);
  }

  releaseReadLock(): void {
    this.#reader.exec("ROLLBACK");
  }

  /**
   * Moves the read transaction to what is committed now, without a moment in between: what lies before
   * that may then be checkpointed. All that was committed when the read lock was taken or moved last
   * must be captured: it may have become part of the database file by now, and then the next commit
   * begins the log anew over it.
   */
  advanceReadLock(): void {
    beginReading(this.#nextReader);
    this.#reader.exec("ROLLBACK");
    [this.#reader, this.#nextReader] = [this.#nextReader, this.#reader];
    this.#lookAtLog();
  }

  /**
   * Runs `work` while nobody can commit. Returns false, without having run it, when the application
   * goes on holding the write lock. An application that commits without a pause leaves it free for
   * microseconds, so it is tried without pauses too.
   */
  async withWriteLock(work: () => Promise<void>): Promise<boolean> {
    const endMs = performance.now() + LOCK_WAIT_MS;
    while (!this.#tryWriteLock()) {
      if (performance.now() >= endMs) return false;
      await setImmediate();
    }
    try {
      await work();
    } finally {
      this.#writer.exec("ROLLBACK");
    }
    return true;
  }

  #tryWriteLock(): boolean {
    const endMs = performance.now() + LOCK_SLICE_MS;
    do {
      try {
        this.#writer.exec("BEGIN IMMEDIATE");
        return true;
      } catch (error) {
        if (!/locked|busy/i.test((error as Error).message)) throw error;
      }
    } while (performance.now() < endMs);
    return false;
  }

  /** Forces the database file to disk: a checkpoint that follows has then little left to force. */
  async syncToDisk(): Promise<void> {
    await fdatasyncAsync(this.#fd);
  }

  /** Copies what readers allow from the log into the database file; see `PassiveCheckpointer`. */
  async checkpointPassive(): Promise<CheckpointResult | undefined> {
    return await this.#checkpointer.run();
  }

  /** Reads pages as the database file holds them; bytes beyond its end are zeros, as SQLite itself sees them. */
  pageRuns(): PageRuns {
    return new PageRuns(this.#fd, this.pageSize);
  }

  /** Size of the database file, in pages. */
  pageCountOnDisk(): number {
    return Math.floor(fstatSync(this.#fd).size / this.pageSize);
  }

  /** False when another file has taken the database's path, a link leads elsewhere, or none is there any more. */
  isStillInPlace(): boolean {
    return inodeOf(this.#givenPath) === fstatSync(this.#fd).ino;
  }

  /**
   * False when another file has taken the log's path, or none is there any more. SQLite never does that
   * while our connections are open; it goes on writing to the file that has no name any more.
   */
  isLogInPlace(): boolean {
    return inodeOf(this.walPath) === this.#walInode;
  }

  /** @throws {ReplicaError} `SOURCE_INVALID` when the database is not in its place any more. */
  expectInPlace(): void {
    if (this.isStillInPlace()) return;
    throw new ReplicaError(
      "SOURCE_INVALID",
      `${this.#givenPath} was replaced or removed while it was replicated: start the replicator again, it ships the new file whole`,
    );
  }

  /** Ends our transactions and connections. The log may be checkpointed away by that, when nobody else has the database open. */
  close(): void {
    this.#checkpointer.close();
    this.#writer.close();
    this.#nextReader.close();
    this.#reader.close();
    // Last: until here its locks were needed.
    closeSync(this.#fd);
  }
}

/** What keeps a database from being opened, by the system's name for it. */
const UNOPENED: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file; the replicator creates no database",
  EACCES:
    "permission denied; the replicator must be able to write the database and its folder, because it checkpoints the log and keeps its staging directory there",
  EROFS:
    "its file system is read-only; the replicator checkpoints the log and keeps its staging directory beside the database",
};
function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

function openFile(path: string): number {
  try {
    if (statSync(path).isDirectory()) {
      throw new ReplicaError("SOURCE_INVALID", `${path} is a folder, not a database file`);
    }
    accessSync(path, constants.R_OK | constants.W_OK);
    accessSync(dirname(path), constants.W_OK);
    return openSync(path, constants.O_RDONLY);
  } catch (cause) {
    if (isReplicaError(cause)) throw cause;
    const { code = "", message } = cause as NodeJS.ErrnoException;
    const reason = UNOPENED[code] ?? message;
    throw new ReplicaError("SOURCE_INVALID", `cannot open ${path}: ${reason}`, { cause });
  }
}

function describe<Result>(path: string, run: () => Result): Result {
  try {
    return run();
  } catch (cause) {
    if (!isReplicaError(cause, "SOURCE_INVALID")) throw cause;
    throw new ReplicaError("SOURCE_INVALID", `${path}: ${cause.message}`, { cause });
  }
}

function connect(path: string, timeout = BUSY_TIMEOUT_MS): DatabaseSync {
  try {
    const database = new DatabaseSync(path, { timeout });
    database.exec("PRAGMA wal_autocheckpoint = 0");
    return database;
  } catch (cause) {
    const sentence = `SQLite cannot open ${path}: ${(cause as Error).message}`;
    throw new ReplicaError("SOURCE_INVALID", sentence, { cause });
  }
}
