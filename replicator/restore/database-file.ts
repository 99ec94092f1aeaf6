import {
  closeSync,
  constants,
  fsyncSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
  write,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { ReplicaError } from "../../shared/errors.ts";
import { readAt } from "../files/read-at.ts";

/** Consecutive pages are written together, up to so many bytes. */
const RUN_BYTES_MAX = 1024 * 1024;
/** Full runs that are on their way to the disk while further pages come in. */
const RUNS_PENDING_MAX = 4;

const writeAsync = promisify(write);

type Run = Uint8Array<ArrayBuffer>;

/**
 * A database file in the making: pages in any order into a temporary file beside the target, which
 * takes the target's name only when it is complete. Nothing is left behind otherwise.
 *
 * Full runs are written beside the work of whoever brings the pages, in no certain order: before a page
 * is written anew, or read, `settle` must have been waited for.
 */
export class DatabaseFile {
  readonly temporaryPath: string;
  readonly #path: string;
  #fd: number | undefined;
  #pageSize = 0;
  #run = new Uint8Array(RUN_BYTES_MAX);
  readonly #spareRuns: Run[] = [];
  readonly #pending = new Set<Promise<void>>();
  #failure: unknown;
  #runBytes = 0;
  #runOffset = 0;
  #written = new Uint8Array(1024);

  /** @throws {ReplicaError} `LOCAL_FILE` when the folder takes no file. */
  constructor(path: string) {
    this.#path = path;
    this.temporaryPath = `${path}.${process.pid}.tmp`;
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC;
    this.#fd = this.#attempt("create", () => openSync(this.temporaryPath, flags, 0o644));
  }

  /** Writes one page over what was there; `data` is copied. All pages are of one size. */
  writePage(pgno: number, data: Uint8Array): void {
    this.#pageSize = data.length;
    this.#mark(pgno);
    const offset = (pgno - 1) * data.length;
    if (this.#runBytes + data.length > RUN_BYTES_MAX) this.#flushAside();
    if (offset !== this.#runOffset + this.#runBytes || this.#runBytes === 0) {
      this.#flush();
      this.#runOffset = offset;
    }
    this.#run.set(data, this.#runBytes);
    this.#runBytes += data.length;
  }

  /**
   * Waits until no more than `pendingMax` runs are on their way, and tells what went wrong with them.
   *
   * @throws {ReplicaError} `LOCAL_FILE`.
   */
  async settle(pendingMax = 0): Promise<void> {
    if (pendingMax === 0) this.#flush();
    // Bounded: every pass waits for one of them.
    while (this.#pending.size > pendingMax) await Promise.race(this.#pending);
    if (this.#failure !== undefined) this.#refuse("write", this.#failure);
  }

  /** Whether a page was written. */
  has(pgno: number): boolean {
    return this.#isMarked(pgno);
  }

  /** The numbers of the pages that were written, up to `last`, ascending. */
  *pages(last: number): Generator<number, void> {
    for (let pgno = 1; pgno <= last; pgno++) if (this.#isMarked(pgno)) yield pgno;
  }

  /** A page that was written, as it is now. */
  readPage(pgno: number): Uint8Array {
    this.#flush();
    return readAt(this.#open(), (pgno - 1) * this.#pageSize, this.#pageSize);
  }

  /** The first page of 1 to `commit` that was never written, but for `lockPgno`; undefined: all there. */
  firstMissingPage(commit: number, lockPgno: number): number | undefined {
    for (let pgno = 1; pgno <= commit; pgno++) {
      if (pgno !== lockPgno && !this.#isMarked(pgno)) return pgno;
    }
    return undefined;
  }

  /** Cuts or extends (with zeros) the file to `commit` pages and makes it durable. */
  async finish(commit: number): Promise<void> {
    await this.settle();
    const fd = this.#open();
    this.#attempt("write", () => {
      ftruncateSync(fd, commit * this.#pageSize);
      fsyncSync(fd);
    });
    closeSync(fd);
    this.#fd = undefined;
  }

  /** Gives the finished file its name, durably. */
  publish(): void {
    this.#attempt("rename", () => renameSync(this.temporaryPath, this.#path));
    const folder = openSync(dirname(this.#path), "r");
    fsyncSync(folder);
    closeSync(folder);
  }

  /** Removes what there is of it. To be called in any case; after `publish` it removes nothing. */
  async discard(): Promise<void> {
    // A descriptor that is closed may be another file's when a write comes to it.
    await Promise.all(this.#pending);
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    rmSync(this.temporaryPath, { force: true });
  }

  #open(): number {
    if (this.#fd === undefined) throw new Error("the database file is closed already");
    return this.#fd;
  }

  #flush(): void {
    const fd = this.#open();
    this.#attempt("write", () => {
      for (let done = 0; done < this.#runBytes;) {
        const offset = this.#runOffset + done;
        done += writeSync(fd, this.#run, done, this.#runBytes - done, offset);
      }
    });
    this.#runBytes = 0;
  }

  /** Writes the run while the next one is filled; at once when too many are on their way already. */
  #flushAside(): void {
    if (this.#pending.size >= RUNS_PENDING_MAX) return this.#flush();
    const [fd, run, bytes, offset] = [this.#open(), this.#run, this.#runBytes, this.#runOffset];
    this.#run = this.#spareRuns.pop() ?? new Uint8Array(RUN_BYTES_MAX);
    this.#runBytes = 0;
    const written = this.#writeRun(fd, run, bytes, offset);
    this.#pending.add(written);
    void written.then(() => this.#pending.delete(written));
  }

  /** Never rejects: what goes wrong is told by `settle`. */
  async #writeRun(fd: number, run: Run, bytes: number, offset: number): Promise<void> {
    try {
      for (let done = 0; done < bytes;) {
        done += (await writeAsync(fd, run, done, bytes - done, offset + done)).bytesWritten;
      }
    } catch (cause) {
      this.#failure ??= cause;
    }
    this.#spareRuns.push(run);
  }

  #mark(pgno: number): void {
    const byte = pgno >>> 3;
    if (byte >= this.#written.length) {
      const larger = new Uint8Array(Math.max(byte + 1, this.#written.length * 2));
      larger.set(this.#written);
      this.#written = larger;
    }
    this.#written[byte] = (this.#written[byte] ?? 0) | (1 << (pgno & 7));
  }

  #isMarked(pgno: number): boolean {
    return ((this.#written[pgno >>> 3] ?? 0) & (1 << (pgno & 7))) !== 0;
  }

  #attempt<Result>(what: string, run: () => Result): Result {
    try {
      return run();
    } catch (cause) {
      return this.#refuse(what, cause);
    }
  }

  #refuse(what: string, cause: unknown): never {
    const { code, message } = cause as NodeJS.ErrnoException;
    const reason = code === "ENOSPC" ? "the disk is full" : message;
    const sentence = `cannot ${what} ${this.temporaryPath}: ${reason}`;
    throw new ReplicaError("LOCAL_FILE", sentence, { cause });
  }
}
