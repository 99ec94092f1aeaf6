import { open, readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ReplicaError } from "../../shared/errors.ts";
import { formatLtxFileName, parseLtxFileName } from "../../shared/ltx/file-name.ts";
import { LTX_HEADER_BYTES } from "../../shared/ltx/header.ts";
import { LTX_TRAILER_BYTES } from "../../shared/ltx/trailer.ts";
import type { Txid } from "../../shared/ltx/txid.ts";
import { readInPieces } from "../files/read-in-pieces.ts";
import {
  codeOf,
  makeFolder,
  removeFile,
  TEMPORARY_SUFFIX,
  writeFile,
  writeSmallFile,
} from "../storage/durable-file.ts";
import { reasonOf } from "../storage/folder-error.ts";
import { writeGrowing, type FileFollower, type GrowingFile } from "./growing-file.ts";

/** A staged file up to this size is read whole for its upload; a larger one is streamed. In bytes. */
const WHOLE_BYTES_MAX = 8 * 1024 * 1024;

/** An LTX file that is safely in the staging directory. */
export interface StagedFile {
  readonly txid: Txid;
  readonly sizeBytes: number;
  readonly pageCount: number;
  /** Why the file holds the whole database; undefined when it holds what changed. */
  readonly imageReason: string | undefined;
}

/** Where a database's staging directory is: `.app.db-litestream` beside it. */
export function stagingFolderOf(databasePath: string): string {
  return join(dirname(databasePath), `.${basename(databasePath)}-litestream`);
}

/** An LTX file that is in memory only. */
export interface HeldFile {
  /** Of its pages. */
  readonly pageBytes: number;
  readonly finish: () => Promise<StagedFile>;
}

/**
 * The local level 0: files that are on their way to the store, and the newest one that is there
 * already. In Litestream's place, so that either finds where the other left off.
 */
export class Staging {
  /** `.app.db-litestream` beside the database, where nothing else was said. */
  readonly folder: string;
  readonly #level: string;
  #follower: FileFollower | undefined;
  /** What was written last, when it is small. */
  #recent: { readonly txid: Txid; readonly bytes: Uint8Array } | undefined;

  private constructor(databasePath: string, folder: string | undefined) {
    this.folder = folder ?? stagingFolderOf(databasePath);
    this.#level = join(this.folder, "ltx", "0");
  }

  /**
   * Makes the directory where it is missing.
   *
   * @throws {ReplicaError} `LOCAL_FILE` when that cannot be done.
   */
  static async open(databasePath: string, folder?: string): Promise<Staging> {
    const staging = new Staging(databasePath, folder);
    await staging.make();
    return staging;
  }

  /**
   * Makes the directory anew where somebody removed it.
   *
   * @throws {ReplicaError} `LOCAL_FILE` when that cannot be done.
   */
  async make(): Promise<void> {
    try {
      await makeFolder(this.#level);
    } catch (cause) {
      const sentence = `cannot make the staging directory ${this.folder}: ${reasonOf(cause)}`;
      throw new ReplicaError("LOCAL_FILE", sentence, { cause });
    }
  }

  /** Where the last write of the lease is remembered, beside the process lock. */
  get leaseRecordPath(): string {
    return join(this.folder, "eddy.lease");
  }

  /** Removes what was never finished. Only under the process lock: another replicator may be writing it. */
  async removeUnfinished(): Promise<void> {
    for (const name of await this.#names()) {
      if (name.endsWith(TEMPORARY_SUFFIX)) await removeFile(join(this.#level, name));
    }
  }

  /** Where unfinished files belong: they are removed at the next start. */
  get workFolder(): string {
    return this.#level;
  }

  /** The TXIDs that are staged, ascending; none when somebody removed the directory. */
  async txids(): Promise<Txid[]> {
    const ranges = (await this.#names()).map(parseLtxFileName);
    return ranges
      .filter((range) => range !== undefined && range.minTxid === range.maxTxid)
      .map((range) => range!.minTxid)
      .toSorted((a, b) => (a < b ? -1 : 1));
  }

  async #names(): Promise<string[]> {
    try {
      return await readdir(this.#level);
    } catch (error) {
      if (codeOf(error) === "ENOENT") return [];
      throw error;
    }
  }

  /** Has `follower` told of the files that are written from now on. */
  follow(follower: FileFollower): void {
    this.#follower = follower;
  }

  /** Writes one small file, durably: after this its TXID is taken, and its bytes are there for `takeRecent`. */
  async writeSmall(txid: Txid, bytes: Uint8Array): Promise<void> {
    const path = this.pathOf(txid);
    try {
      await writeSmallFile(path, bytes);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
      await makeFolder(this.#level);
      await writeSmallFile(path, bytes);
    }
    this.#recent = { txid, bytes };
  }

  /**
   * The bytes of the file that was written last, once: whoever needs them again reads the file. So a file
   * need not be read that is uploaded right after it was written; one that has to wait is read all the same.
   */
  takeRecent(txid: Txid): Uint8Array | undefined {
    const recent = this.#recent;
    this.forgetRecent();
    return recent?.txid === txid ? recent.bytes : undefined;
  }

  /** Lets go of what `takeRecent` would answer. */
  forgetRecent(): void {
    this.#recent = undefined;
  }

  /** Writes one file durably: after this its TXID is taken. Told to whoever follows when `sizeBytesMax` says that it is large. */
  async write(txid: Txid, body: AsyncIterable<Uint8Array>, sizeBytesMax = 0): Promise<void> {
    const path = this.pathOf(txid);
    this.forgetRecent();
    const follower = this.#follower;
    await makeFolder(this.#level);
    if (!follower || sizeBytesMax < follower.bytesMin) return await writeFile(path, body);
    const onGrown = (file: GrowingFile) => follower.grown(txid, file);
    await writeGrowing(path, body, { sizeBytesMax, onGrown });
  }

  async sizeOf(txid: Txid): Promise<number> {
    return (await stat(this.pathOf(txid))).size;
  }

  /** A staged file's bytes: at once when it is small, otherwise as a stream that can be read once. */
  async body(txid: Txid): Promise<Uint8Array | AsyncIterable<Uint8Array>> {
    const path = this.pathOf(txid);
    const isSmall = (await this.sizeOf(txid)) <= WHOLE_BYTES_MAX;
    return isSmall ? await readFile(path) : readInPieces(path);
  }

  /** A staged file's header and trailer, and its size: enough to tell it from any other. */
  async ends(txid: Txid): Promise<{ head: Uint8Array; tail: Uint8Array; sizeBytes: number }> {
    const file = await open(this.pathOf(txid), "r");
    try {
      const { size } = await file.stat();
      const head = Buffer.alloc(LTX_HEADER_BYTES);
      const tail = Buffer.alloc(LTX_TRAILER_BYTES);
      await file.read(head, 0, head.length, 0);
      await file.read(tail, 0, tail.length, Math.max(0, size - tail.length));
      return { head, tail, sizeBytes: size };
    } finally {
      await file.close();
    }
  }

  async remove(txid: Txid): Promise<void> {
    if (this.#recent?.txid === txid) this.forgetRecent();
    await removeFile(this.pathOf(txid));
  }

  /**
   * Removes every staged file: what they describe is not the history that goes on. The folder stays, and in it what a
   * compaction or a snapshot is writing at this moment.
   */
  async clear(): Promise<void> {
    this.forgetRecent();
    await makeFolder(this.#level);
    for (const name of await this.#names()) {
      if (parseLtxFileName(name) !== undefined) await removeFile(join(this.#level, name));
    }
  }

  pathOf(txid: Txid): string {
    return join(this.#level, formatLtxFileName({ minTxid: txid, maxTxid: txid }));
  }
}
