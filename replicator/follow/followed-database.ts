import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { ReplicaError } from "../../shared/errors.ts";
import type { Txid } from "../../shared/ltx/txid.ts";
import { lockPgno } from "../../shared/sqlite/database-header.ts";
import { readAt } from "../files/read-at.ts";
import type { DatabaseFile } from "../restore/database-file.ts";
import {
  FOLLOWER_HEADER_BYTES,
  readFollowerTxid,
  writeFollowerHeader,
  type FollowerState,
} from "./follower-header.ts";
import { RollbackJournal } from "./rollback-journal.ts";
import { readTxidFile, txidPathOf, writeTxidFile } from "./txid-file.ts";

/** So long we wait for readers to end; those who come meanwhile wait for us. */
const READERS_WAIT_MS = 2_000;

/** A change that is complete but not yet in the database. */
export interface StagedChange extends FollowerState {
  /** The pages that it writes. */
  readonly pages: DatabaseFile;
  readonly pageSize: number;
}

/**
 * A restored database that takes up what its replica goes on with, while programs read it. Each change
 * is a transaction to them: made under SQLite's exclusive lock, with SQLite's rollback journal beside
 * the file, so that they see the state before or the one after, also when we are killed in between.
 *
 * The file is written through a descriptor that stays open: closing any descriptor of it would drop the
 * locks that this process holds.
 */
export class FollowedDatabase {
  readonly path: string;
  readonly #connection: DatabaseSync;
  readonly #fd: number;
  #state: FollowerState;
  readonly #pageSize: number;
  /** A change has failed in the middle: until its journal is played back, the file is none of our states. */
  #isToPutBack = false;

  private constructor(path: string, connection: DatabaseSync, fd: number) {
    this.path = path;
    this.#connection = connection;
    this.#fd = fd;
    const page1 = readAt(fd, 0, FOLLOWER_HEADER_BYTES);
    const noted = readTxidFile(path);
    const txid = noted && readFollowerTxid(page1, noted);
    if (txid === undefined) refuseChanged(path);
    this.#pageSize = Number(connection.prepare("PRAGMA page_size").get()?.["page_size"]);
    this.#state = { txid, commit: fstatSync(fd).size / this.#pageSize };
  }

  /**
   * Opens a database that was restored to be followed. What an interrupted change left is undone first.
   *
   * @throws {ReplicaError} `SOURCE_INVALID` when it is no such database, or something wrote to it.
   */
  static open(path: string): FollowedDatabase {
    const connection = connect(path);
    // Only after the connection: it is SQLite who puts back what an interrupted change overwrote.
    const fd = openSync(path, "r+");
    try {
      return new FollowedDatabase(path, connection, fd);
    } catch (error) {
      connection.close();
      closeSync(fd);
      throw error;
    }
  }

  get txid(): Txid {
    return this.#state.txid;
  }

  /** Size of the database, in pages. */
  get commit(): number {
    return this.#state.commit;
  }

  /**
   * Makes a change, durably. Returns how many pages it wrote; undefined when readers did not let go of
   * the database in time: nothing has happened then.
   *
   * @throws {ReplicaError} `SOURCE_INVALID` when something else has written to the database,
   *   `LOCAL_FILE` when the disk takes no more; readers then see the state before, and it may be tried again.
   */
  apply(change: StagedChange): number | undefined {
    if (change.pageSize !== this.#pageSize) {
      throw new ReplicaError(
        "CORRUPT_PAGE",
        `${this.path} has pages of ${this.#pageSize} bytes, and the replica goes on with pages of ${change.pageSize}: restore it anew with --force`,
      );
    }
    if (this.#isToPutBack && !this.#putBack()) return undefined;
    const changed = this.#changedPages(change);
    if (!this.#lock()) return undefined;
    try {
      this.#write(change, changed);
    } catch (cause) {
      if (cause instanceof ReplicaError) throw cause;
      this.#isToPutBack = true;
      const { code, message } = cause as NodeJS.ErrnoException;
      const reason = code === "ENOSPC" ? "the disk is full" : message;
      throw new ReplicaError("LOCAL_FILE", `cannot write to ${this.path}: ${reason}`, { cause });
    } finally {
      this.#connection.exec("ROLLBACK");
    }
    this.#state = { txid: change.txid, commit: change.commit };
    return changed.length;
  }

  /** Ends our use of it; readers go on. */
  close(): void {
    this.#connection.close();
    // Last: until here its locks were needed.
    closeSync(this.#fd);
  }

  /** Has SQLite put back what a change that failed overwrote, as any reader would. False as `#lock`. */
  #putBack(): boolean {
    if (!this.#lock()) return false;
    this.#connection.exec("ROLLBACK");
    this.#isToPutBack = false;
    return true;
  }

  /** False when readers keep the database for too long. */
  #lock(): boolean {
    try {
      this.#connection.exec("BEGIN EXCLUSIVE");
      return true;
    } catch (cause) {
      const { message } = cause as Error;
      if (/locked|busy/i.test(message)) return false;
      throw new ReplicaError("LOCAL_FILE", `cannot lock ${this.path}: ${message}`, { cause });
    }
  }

  #write({ pages, txid, commit }: StagedChange, changed: readonly number[]): void {
    const page1 = pages.has(1) ? pages.readPage(1) : this.#readPage(1);
    const before = readFollowerTxid(this.#readPage(1), this.txid);
    if (before !== this.txid) refuseChanged(this.path);
    const nonce = Math.floor(Math.random() * 2 ** 32);
    const { commit: pageCount } = this.#state;
    const journal = new RollbackJournal(this.path, { pageSize: this.#pageSize, pageCount, nonce });
    try {
      const lost = lockPgno(this.#pageSize);
      for (const pgno of changed) if (pgno <= pageCount) journal.add(pgno, this.#readPage(pgno));
      for (let pgno = commit + 1; pgno <= pageCount; pgno++) {
        if (pgno !== lost) journal.add(pgno, this.#readPage(pgno));
      }
      journal.seal();
      for (const pgno of changed) if (pgno !== 1) this.#writePage(pgno, pages.readPage(pgno));
      writeFollowerHeader(page1, { txid, commit });
      this.#writePage(1, page1);
      ftruncateSync(this.#fd, commit * this.#pageSize);
      fsyncSync(this.#fd);
      // Before the journal goes: the note may then be ahead of the database, never behind it.
      writeTxidFile(this.path, txid);
      journal.remove();
    } catch (error) {
      // It counts for nothing, and takes up room of which there may be none.
      if (!journal.isSealed) journal.remove();
      throw error;
    } finally {
      journal.close();
    }
  }

  /** Page 1, and the pages that are not in the database already as they are staged. */
  #changedPages({ pages, commit }: StagedChange): number[] {
    const lost = lockPgno(this.#pageSize);
    const changed = [1];
    for (const pgno of pages.pages(commit)) {
      if (pgno === 1 || pgno === lost) continue;
      if (Buffer.compare(pages.readPage(pgno), this.#readPage(pgno)) !== 0) changed.push(pgno);
    }
    return changed;
  }

  #readPage(pgno: number): Uint8Array {
    return readAt(this.#fd, (pgno - 1) * this.#pageSize, this.#pageSize);
  }

  #writePage(pgno: number, page: Uint8Array): void {
    const offset = (pgno - 1) * this.#pageSize;
    for (let done = 0; done < page.length;) {
      done += writeSync(this.#fd, page, done, page.length - done, offset + done);
    }
  }
}

function connect(path: string): DatabaseSync {
  const connection = new DatabaseSync(path, { timeout: READERS_WAIT_MS });
  try {
    connection.prepare("SELECT count(*) FROM sqlite_schema").get();
    return connection;
  } catch (cause) {
    connection.close();
    const sentence = `SQLite cannot open ${path}: ${(cause as Error).message}`;
    throw new ReplicaError("SOURCE_INVALID", sentence, { cause });
  }
}

function refuseChanged(path: string): never {
  throw new ReplicaError(
    "SOURCE_INVALID",
    `${path} is not as \`eddy restore --follow\` left it: something else wrote to it or to ${txidPathOf(path)}. A followed database is for reading; restore it anew with --force`,
  );
}
