/** The edge bundle of a replica, kept up to date by whoever writes the replica. */
import { isReplicaError, throwIfAborted, type ReplicaError } from "../../shared/errors.ts";
import type { BaseReference } from "../../shared/replica/edge-bundle/bundle-format.ts";
import { formatHeadKey } from "../../shared/replica/edge-bundle/bundle-keys.ts";
import { listOtherBases } from "../../shared/replica/edge-bundle/delete-stale-bases.ts";
import { storeSink } from "../../shared/replica/edge-bundle/bundle-sink.ts";
import type { HeadContent } from "../../shared/replica/edge-bundle/head-format.ts";
import {
  readStoredHead,
  updateBundle,
  type BundleReport,
} from "../../shared/replica/edge-bundle/update-bundle.ts";
import { listObjects, toLtxFile, type LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import { formatLtxKey, formatReplicaPrefix, type Replica } from "../../shared/replica/ltx-key.ts";
import type { FileWatch } from "./watch-files.ts";
import { localFirst } from "./local-first.ts";

/** The head is written anew when so much of level 0 is newer. A reader fetches as many files one by one. */
const NEWER_FILES_MAX = 11;
const NEWER_BYTES_MAX = 1_000_000;
/** A reader reads no larger file whole, so its pages are not verified before the bundle covers them: at once. */
const LARGE_FILE_BYTES = 4 * 1024 * 1024;
/** R2 takes one write a second of a key. */
const INTERVAL_MS = 1_000;
/** What is newer than the head is covered in any case when nothing more has come for so long; the lease still runs. */
const QUIET_MS = 20_000;
/** After a failure it is left alone for so long; readers do with the head that is there, or with none. */
const RETRY_MS = 60_000;

export interface BundleKeeperOptions {
  /** Written to under the lease only. */
  readonly replica: Replica;
  /** Where a copy of a level-0 file may be on this machine. */
  readonly localPath: (file: LtxFileInfo) => string | undefined;
  readonly now: () => number;
  readonly onWritten: (report: BundleReport) => void;
  readonly onFailed: (error: ReplicaError, retryMs: number) => void;
}

/**
 * Rewrites the head as the replica grows, and before anything is deleted that it names. It remembers what is in
 * the store, as it is told of every file that is put or deleted, and lists it once.
 *
 * A bundle is derived: where it cannot be written, replication goes on, and it is tried again later.
 */
export class BundleKeeper implements FileWatch {
  readonly #options: BundleKeeperOptions;
  readonly #reading: Replica;
  /** By key; undefined before it was listed. */
  #files: Map<string, LtxFileInfo> | undefined;
  /** Put while they were being listed. */
  #storedMeanwhile: LtxFileInfo[] = [];
  /** The head in the store; undefined where there is none, null before it was read. */
  #head: HeadContent | undefined | null = null;
  /** Sizes of files of level 0 that were put since `uploaded` was called. */
  readonly #untold: number[] = [];
  #newerFiles = 0;
  #newerBytes = 0;
  #hasLarge = false;
  /** The head may name files that are not there any more: it is to be written even if nothing is newer. */
  #mayMislead = false;
  #lastStoredMs = 0;
  #notBeforeMs = 0;

  constructor(options: BundleKeeperOptions) {
    this.#options = options;
    this.#reading = localFirst(options.replica, {
      infoOf: (key) => this.#files?.get(key),
      pathOf: options.localPath,
    });
  }

  /** When the head is to be written, in milliseconds since the epoch; `Infinity` while it covers what there is. */
  get dueMs(): number {
    if (this.#mayMislead) return this.#notBeforeMs;
    if (this.#newerFiles === 0) return Number.POSITIVE_INFINITY;
    const isFar =
      this.#hasLarge || this.#newerFiles >= NEWER_FILES_MAX || this.#newerBytes >= NEWER_BYTES_MAX;
    return Math.max(this.#notBeforeMs, isFar ? 0 : this.#lastStoredMs + QUIET_MS);
  }

  /** Forgets what it has seen of the store: it may be of another history. */
  forget(): void {
    this.#files = undefined;
    this.#head = null;
  }

  /** Whatever bundle is there is of another history, whose TXIDs will be repeated. */
  async beginning(signal: AbortSignal | undefined): Promise<void> {
    const { replica } = this.#options;
    const key = formatHeadKey(replica);
    try {
      await replica.store.delete([key], { signal });
    } catch (error) {
      if (!isReplicaError(error, "STORE_DENIED")) throw error;
      // Who may not delete may begin a history all the same: nobody takes what is empty for a head.
      const found = await replica.store.get(key, { signal });
      if (found) await replica.store.put(key, new Uint8Array(0), { signal });
    }
    this.#head = undefined;
  }

  stored(file: LtxFileInfo): void {
    if (this.#files) this.#files.set(file.key, file);
    else this.#storedMeanwhile.push(file);
    if (file.level > 0) return;
    this.#untold.push(file.sizeBytes);
  }

  /** Says that what was put into level 0 counts. */
  uploaded(): void {
    for (const sizeBytes of this.#untold.splice(0)) {
      this.#newerFiles++;
      this.#newerBytes += sizeBytes;
      this.#hasLarge ||= sizeBytes > LARGE_FILE_BYTES;
      this.#lastStoredMs = this.#options.now();
    }
  }

  async leaving(keys: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    const never = new AbortController().signal;
    const doomed = new Set(keys);
    if (await this.#namesAny(doomed, signal ?? never)) await this.#write(signal ?? never, doomed);
    for (const key of keys) this.#files?.delete(key);
  }

  /**
   * Writes the head if its time has come; where `signal` fires, perhaps not.
   *
   * @throws {ReplicaError} `WRITER_CONFLICT`; every other failure is told, and tried again later.
   */
  async runDue(signal: AbortSignal): Promise<void> {
    if (this.#options.now() < this.dueMs) return;
    try {
      await this.#write(signal, new Set());
    } catch (error) {
      // What is left is to be shipped all the same.
      if (!signal.aborted || !isReplicaError(error, "ABORTED")) throw error;
    }
  }

  /** Writes the head if anything is newer. */
  async writeNow(signal: AbortSignal): Promise<void> {
    if (this.#newerFiles > 0 || this.#mayMislead) await this.#write(signal, new Set());
  }

  async #namesAny(doomed: ReadonlySet<string>, signal: AbortSignal): Promise<boolean> {
    const { replica } = this.#options;
    try {
      if (this.#head === null) this.#head = await readStoredHead(replica, signal);
    } catch (error) {
      this.#mayMislead = true;
      this.#fail(error, signal);
      return true;
    }
    return (this.#head?.files ?? []).some((file) => doomed.has(formatLtxKey(replica, file)));
  }

  async #write(signal: AbortSignal, doomed: ReadonlySet<string>): Promise<void> {
    const { replica, now, onWritten } = this.#options;
    const [files, bytes] = [this.#newerFiles, this.#newerBytes];
    try {
      if (this.#head === null) this.#head = await readStoredHead(replica, signal);
      this.#files ??= await this.#list(signal);
      const report = await updateBundle(this.#reading, storeSink(replica, signal), {
        files: [...this.#files.values()].filter(({ key }) => !doomed.has(key)),
        head: this.#head,
        signal,
      });
      this.#head = report.content;
      // What came meanwhile is newer still.
      this.#newerFiles -= files;
      this.#newerBytes -= bytes;
      this.#hasLarge = false;
      this.#mayMislead = false;
      this.#notBeforeMs = now() + INTERVAL_MS;
      this.#forgetCovered();
      onWritten(report);
      if (report.kind === "base" || report.kind === "build") {
        await this.#removeBases([report.base, report.previousBase], signal);
      }
    } catch (error) {
      // Whoever deletes goes on.
      this.#mayMislead ||= doomed.size > 0;
      this.#fail(error, signal);
    }
  }

  #fail(error: unknown, signal: AbortSignal): void {
    if (!isReplicaError(error) || isReplicaError(error, "WRITER_CONFLICT")) throw error;
    // Whatever is remembered may be what is wrong.
    this.forget();
    this.#notBeforeMs = this.#options.now() + RETRY_MS;
    throwIfAborted(signal);
    this.#options.onFailed(error, RETRY_MS);
  }

  async #list(signal: AbortSignal): Promise<Map<string, LtxFileInfo>> {
    this.#storedMeanwhile = [];
    const { replica } = this.#options;
    const files: LtxFileInfo[] = [];
    const isNeeded = this.#needed();
    // All levels at once: a small replica takes one LIST.
    for await (const object of listObjects(replica, {
      prefix: formatReplicaPrefix(replica),
      signal,
    })) {
      const file = toLtxFile(replica, object);
      if (file && isNeeded(file)) files.push(file);
    }
    files.push(...this.#storedMeanwhile);
    return new Map(files.map((file) => [file.key, file]));
  }

  #forgetCovered(): void {
    const isNeeded = this.#needed();
    for (const [key, file] of this.#files ?? []) if (!isNeeded(file)) this.#files?.delete(key);
  }

  /** Level 0 may be kept for ever, and nothing of it that the base has is looked at again. */
  #needed(): (file: LtxFileInfo) => boolean {
    const head = this.#head;
    if (!head) return () => true;
    const named = new Set(head.files.map((file) => formatLtxKey(this.#options.replica, file)));
    return ({ key, level, maxTxid }) => level > 0 || maxTxid >= head.base.txid || named.has(key);
  }

  /** Removes bases that no head has named for a while; a reader may still hold the one before. */
  async #removeBases(
    kept: readonly (BaseReference | undefined)[],
    signal: AbortSignal,
  ): Promise<void> {
    const { replica } = this.#options;
    const old = (await listOtherBases(replica, kept, signal)).map(({ key }) => key);
    try {
      if (old.length > 0) await replica.store.delete(old, { signal });
    } catch (error) {
      // Retention tells that nothing may be deleted; the head is written and right.
      if (!isReplicaError(error, "STORE_DENIED")) throw error;
    }
  }
}
