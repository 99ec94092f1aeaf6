import { constants, type BigIntStats } from "node:fs";
import { open, stat, type FileHandle } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { ReplicaError, throwIfAborted } from "../../shared/errors.ts";
import { LIST_PAGE_MAX } from "../../shared/limits.ts";
import { resolveRange } from "../../shared/storage/byte-range.ts";
import type { PutBody } from "../../shared/storage/bytes.ts";
import type {
  DeleteOptions,
  Etag,
  GetOptions,
  ListOptions,
  ListPage,
  Metadata,
  ObjectInfo,
  ObjectStore,
  PutCondition,
  PutOptions,
  StoredBytes,
} from "../../shared/storage/object-store.ts";
import {
  codeOf,
  makeFolder,
  publishFile,
  publishNewFile,
  removeFile,
  TEMPORARY_SUFFIX,
  type TemporaryFile,
  writeTemporaryFile,
} from "./durable-file.ts";
import { claimReplacement } from "./file-claim.ts";
import { folderError } from "./folder-error.ts";
import { walkFolder } from "./folder-walk.ts";

/** The one name of metadata that a folder keeps: as the file's time stamp, in milliseconds. */
const TIMESTAMP = "litestream-timestamp";

/** Walks that wait for their next page; a forgotten one is begun anew from its cursor. */
const WALKS_KEPT_MAX = 16;

/** The system reads no more than 2 GiB at a time. */
const READ_BYTES_MAX = 1024 ** 3;

export interface FileStoreOptions {
  /** Objects in one page of a listing. */
  readonly pageSize?: number;
}

/**
 * A folder as a store, as Litestream's file replicas are: a key is a path below it.
 *
 * A file appears under its name complete and on disk, or not at all. Of the metadata only
 * `litestream-timestamp` is kept, as the file's modification time in whole milliseconds; it reads
 * back for every file. An unfinished write leaves a `*.tmp` file, which no listing shows.
 * Create-only writes are atomic among processes; a write on condition of an ETag is so among
 * processes that use this class.
 */
export class FileStore implements ObjectStore {
  readonly #root: string;
  readonly #pageSize: number;
  /** By cursor, which is the last key that was listed. */
  readonly #walks = new Map<string, AsyncGenerator<string, void, undefined>>();

  /** @param folder Need not exist: the first `put` makes it. */
  constructor(folder: string, options: FileStoreOptions = {}) {
    this.#root = resolve(folder);
    this.#pageSize = options.pageSize ?? LIST_PAGE_MAX;
  }

  list(options: ListOptions): Promise<ListPage> {
    const { prefix, cursor, startAfter, withMetadata, signal } = options;
    return this.#attempt(`list "${prefix}" in`, signal, async () => {
      const walk =
        this.#keptWalk(prefix, cursor) ??
        walkFolder({ root: this.#root, prefix, startAfter: cursor ?? startAfter });
      const objects: ObjectInfo[] = [];
      while (objects.length < this.#pageSize) {
        const next = await walk.next();
        throwIfAborted(signal);
        if (next.done) return { objects };
        const stats = await this.#statsOf(next.value);
        if (stats !== undefined) objects.push(infoOf(next.value, stats, withMetadata === true));
      }
      const last = objects.at(-1)?.key ?? "";
      this.#keepWalk(prefix, last, walk);
      return { objects, cursor: last };
    });
  }

  get(key: string, options: GetOptions = {}): Promise<StoredBytes | undefined> {
    return this.#attempt(`read "${key}" in`, options.signal, async () => {
      const file = await openIfThere(this.#pathOf(key));
      if (file === undefined) return undefined;
      try {
        const stats = await file.stat({ bigint: true });
        if (!stats.isFile()) return undefined;
        const etag = etagOf(stats);
        if (options.ifMatch !== undefined && options.ifMatch !== etag) {
          throw conflict(key, "holds other content than was expected");
        }
        const totalBytes = Number(stats.size);
        const { offset, length } = resolveRange(options.range, totalBytes);
        const bytes = await readFully(file, offset, length);
        throwIfAborted(options.signal);
        return { bytes, totalBytes, etag, metadata: metadataOf(stats) };
      } finally {
        await file.close();
      }
    });
  }

  put(key: string, body: PutBody, options: PutOptions = {}): Promise<ObjectInfo> {
    const { metadata = {}, onlyIf, signal } = options;
    return this.#attempt(`write "${key}" in`, signal, async () => {
      const path = this.#pathOf(key);
      const modifiedAtMs = timestampOf(metadata);
      await makeFolder(dirname(path));
      const temporary = await writeTemporaryFile(path, body, { modifiedAtMs, signal });
      try {
        await this.#publish(key, temporary, onlyIf);
        // Through the handle: under the name there may be another writer's content by now.
        return infoOf(key, await temporary.handle.stat({ bigint: true }), false);
      } finally {
        await temporary.handle.close();
      }
    });
  }

  delete(keys: readonly string[], options: DeleteOptions = {}): Promise<void> {
    return this.#attempt("delete from", options.signal, async () => {
      const paths = keys.map((key) => this.#pathOf(key));
      // Not forced to disk: a file that a power failure brings back is deleted another time.
      for (const path of paths) {
        throwIfAborted(options.signal);
        await removeFile(path);
      }
    });
  }

  async #publish(
    key: string,
    temporary: TemporaryFile,
    onlyIf: PutCondition | undefined,
  ): Promise<void> {
    const path = this.#pathOf(key);
    if (onlyIf === undefined) return publishFile(temporary, path);
    if ("etag" in onlyIf) return this.#replace(key, temporary, onlyIf.etag);
    const created = await publishNewFile(temporary, path);
    if (!created) throw conflict(key, "exists already, so it was not written");
  }

  async #replace(key: string, temporary: TemporaryFile, etag: Etag): Promise<void> {
    const path = this.#pathOf(key);
    const changed = () => conflict(key, "was changed or removed meanwhile, so it was not written");
    try {
      const claim = await claimReplacement(path, etag);
      if (claim === undefined) throw changed();
      try {
        const stats = await this.#statsOf(key);
        if (stats === undefined || etagOf(stats) !== etag) throw changed();
        await publishFile(temporary, path);
      } finally {
        await claim.release();
      }
    } finally {
      // Gone already where it has become the file itself.
      await removeFile(temporary.path);
    }
  }

  #keptWalk(prefix: string, cursor: string | undefined) {
    if (cursor === undefined) return undefined;
    const name = `${prefix}\0${cursor}`;
    const walk = this.#walks.get(name);
    // Taken out: two callers with one cursor must not share a walk.
    this.#walks.delete(name);
    return walk;
  }

  #keepWalk(prefix: string, cursor: string, walk: AsyncGenerator<string, void, undefined>): void {
    this.#walks.set(`${prefix}\0${cursor}`, walk);
    const oldest = this.#walks.keys().next();
    if (this.#walks.size > WALKS_KEPT_MAX && !oldest.done) this.#walks.delete(oldest.value);
  }

  async #statsOf(key: string): Promise<BigIntStats | undefined> {
    try {
      return await stat(this.#pathOf(key), { bigint: true });
    } catch (error) {
      if (codeOf(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  #pathOf(key: string): string {
    const segments = key.split("/");
    const strays = segments.some((name) => name === "" || name === "." || name === "..");
    if (strays || /[\0\\]/.test(key) || key.endsWith(TEMPORARY_SUFFIX)) {
      throw new ReplicaError(
        "BAD_CONFIG",
        `"${key}" cannot be a file below ${this.#root}: a key in a folder has no empty, "." or ".." part, no backslash, and does not end in ${TEMPORARY_SUFFIX}`,
      );
    }
    return join(this.#root, ...segments);
  }

  async #attempt<T>(
    what: string,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    throwIfAborted(signal);
    try {
      return await work();
    } catch (error) {
      throw folderError(error, what, this.#root);
    }
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY);
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EISDIR"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
}

async function readFully(file: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  // Every pass reads at least one byte or ends the loop.
  for (let filled = 0; filled < length;) {
    const wanted = Math.min(length - filled, READ_BYTES_MAX);
    const { bytesRead } = await file.read(bytes, filled, wanted, offset + filled);
    if (bytesRead === 0) return bytes.subarray(0, filled);
    filled += bytesRead;
  }
  return bytes;
}

function infoOf(key: string, stats: BigIntStats, withMetadata: boolean): ObjectInfo {
  return {
    key,
    sizeBytes: Number(stats.size),
    uploadedAtMs: modifiedAtMsOf(stats),
    etag: etagOf(stats),
    ...(withMetadata && { metadata: metadataOf(stats) }),
  };
}

/**
 * Size, time stamp and inode; and the time of the last change of the inode, because a freed inode
 * is used again at once and the time stamp is the writer's to choose.
 */
function etagOf({ size, mtimeNs, ctimeNs, ino }: BigIntStats): Etag {
  return [size, mtimeNs, ctimeNs, ino].map((part) => part.toString(36)).join("-") as Etag;
}

function modifiedAtMsOf({ mtimeNs }: BigIntStats): number {
  // Rounded: a stamp is set as a fraction of seconds, which falls short of the millisecond.
  return Math.round(Number(mtimeNs) / 1e6);
}

function metadataOf(stats: BigIntStats): Metadata {
  return { [TIMESTAMP]: new Date(modifiedAtMsOf(stats)).toISOString() };
}

function timestampOf(metadata: Metadata): number | undefined {
  const stamp = metadata[TIMESTAMP];
  if (stamp === undefined) return undefined;
  const milliseconds = Date.parse(stamp);
  if (!Number.isNaN(milliseconds)) return milliseconds;
  throw new ReplicaError("BAD_REQUEST", `${TIMESTAMP} is "${stamp}", which is not a time`);
}

function conflict(key: string, what: string): ReplicaError {
  return new ReplicaError("STORE_CONFLICT", `"${key}" ${what}`);
}
