/** The order of things: database → staging directory → store. Nothing else knows it. */
import { ReplicaError, isReplicaError } from "../../shared/errors.ts";
import { formatTxid, type Txid } from "../../shared/ltx/txid.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { ProcessLock } from "../source/process-lock.ts";
import { SourceDatabase } from "../source/source-database.ts";
import { watchWal } from "../wal/wal-watcher.ts";
import type { ReplicationEvent } from "./events.ts";
import { findResumePoint, reconcile } from "./reconcile.ts";
import { Staging } from "./staging.ts";
import { Uploader } from "./uploader.ts";
import { WalCapture } from "./wal-capture.ts";

/** From so many pages of synced log on, it is checkpointed; Litestream's threshold. */
const CHECKPOINT_PAGES_MIN = 1_000;
/** What is left is uploaded for so long after the end was asked for, in milliseconds. */
const DRAIN_MS = 30_000;

export interface ReplicationOptions {
  readonly databasePath: string;
  readonly replica: Replica;
  readonly onEvent?: ((event: ReplicationEvent) => void) | undefined;
  readonly now?: () => number;
}

/** Where a replication stands. */
export interface ReplicationState {
  readonly txid: Txid | undefined;
  readonly uploaded: Txid | undefined;
  /** Files that are staged and not in the store. */
  readonly waiting: number;
}

/** One database, followed. Locks are taken in this order: process, read lock, write lock. */
export class Replication {
  readonly #lock: ProcessLock;
  readonly #source: SourceDatabase;
  readonly #capture: WalCapture;
  readonly #uploader: Uploader;
  readonly #onEvent: (event: ReplicationEvent) => void;
  /** Synced log at which the last checkpoint was tried: it is tried again when there is as much more. */
  #checkpointedAtBytes = 0;

  private constructor(parts: {
    lock: ProcessLock;
    source: SourceDatabase;
    capture: WalCapture;
    uploader: Uploader;
    onEvent: (event: ReplicationEvent) => void;
  }) {
    this.#lock = parts.lock;
    this.#source = parts.source;
    this.#capture = parts.capture;
    this.#uploader = parts.uploader;
    this.#onEvent = parts.onEvent;
  }

  /**
   * Opens the database, takes its locks, and finds where to go on. Nothing is written to the store yet.
   *
   * @throws {ReplicaError} `SOURCE_INVALID`, `WRITER_CONFLICT`, `BAD_CONFIG`, and what the store throws.
   */
  static async start(options: ReplicationOptions): Promise<Replication> {
    const { databasePath, replica, onEvent = () => undefined, now = Date.now } = options;
    const source = SourceDatabase.open(databasePath);
    const staging = await Staging.open(databasePath);
    const lock = ProcessLock.take(staging.folder);
    source.holdReadLock();
    const { txid, staged, pending, uploaded } = await reconcile(replica, staging);
    const capture = new WalCapture({ source, staging, now, txid });
    const uploader = new Uploader({ replica, staging, pending, uploaded, onEvent });
    const replication = new Replication({ lock, source, capture, uploader, onEvent });
    let isResumed = false;
    if (staged !== undefined) {
      // Without the write lock the next commit might begin the log anew, over what was not read yet.
      // Where the application holds it, the whole database is shipped.
      await source.withWriteLock(async () => {
        const point = await findResumePoint(staging, staged, source);
        if (!point) return;
        isResumed = true;
        capture.resume(point);
        await replication.#captureAll();
      });
    }
    onEvent({
      event: "started",
      db: databasePath,
      txid: uploaded === undefined ? null : formatTxid(uploaded),
      switched_to_wal: source.wasSwitchedToWal,
      resumed: isResumed,
    });
    return replication;
  }

  get state(): ReplicationState {
    const { txid } = this.#capture;
    const { uploaded, waiting } = this.#uploader;
    return { txid, uploaded, waiting };
  }

  /**
   * Ships what is committed now, and returns.
   *
   * @throws {ReplicaError} What the store answers, after its own retries; the rest stays staged.
   */
  async once(signal: AbortSignal): Promise<ReplicationState> {
    await this.#captureAll();
    await this.#uploader.drainOrFail(signal);
    return this.#stopped();
  }

  /**
   * Ships every commit until `signal` fires; then what is left, for a bounded time.
   *
   * @throws {ReplicaError} What cannot pass by itself: `WRITER_CONFLICT`, `SOURCE_INVALID`, `LOCAL_FILE`.
   */
  async run(signal: AbortSignal): Promise<ReplicationState> {
    const uploads = new AbortController();
    const giveUp = new AbortController();
    const captures = new AbortController();
    const stop = () => captures.abort();
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    const uploading = this.#uploader
      .run({ stop: uploads.signal, giveUp: giveUp.signal })
      .catch((error: unknown) => {
        // Nothing that is captured from now on would get anywhere.
        captures.abort();
        throw error;
      });
    uploading.catch(() => undefined);
    try {
      for await (const _ of watchWal(this.#source.path, captures.signal)) {
        await this.#captureAll();
        await this.#checkpointIfDue();
      }
      await this.#captureAll();
    } finally {
      uploads.abort();
      signal.removeEventListener("abort", stop);
    }
    const timer = setTimeout(() => giveUp.abort(), DRAIN_MS);
    try {
      await uploading;
      await this.#uploader.drain(giveUp.signal);
    } finally {
      clearTimeout(timer);
    }
    return this.#stopped();
  }

  /** Ends locks and connections. Whoever ends the process instead keeps the log, and with it a cheap restart. */
  close(): void {
    this.#source.close();
    this.#lock.release();
  }

  #stopped(): ReplicationState {
    const { txid, uploaded, waiting } = this.state;
    this.#onEvent({
      event: "stopped",
      txid: txid === undefined ? null : formatTxid(txid),
      uploaded_txid: uploaded === undefined ? null : formatTxid(uploaded),
      waiting,
    });
    return { txid, uploaded, waiting };
  }

  async #captureAll(): Promise<void> {
    if (!this.#source.isStillInPlace()) {
      throw new ReplicaError(
        "SOURCE_INVALID",
        `${this.#source.path} was replaced or removed while it was replicated: start the replicator again, it ships the new file whole`,
      );
    }
    // Bounded by what is committed: each pass takes up to 64 MiB of the log.
    for (;;) {
      const staged = await this.#capture.capture();
      if (!staged) return;
      const { txid, sizeBytes, pageCount, imageReason } = staged;
      const file = { txid: formatTxid(txid), bytes: sizeBytes, pages: pageCount };
      this.#onEvent({ event: "staged", ...file, image: imageReason ?? null });
      this.#uploader.add(txid);
    }
  }

  /**
   * Copies the log into the database file when there is enough of it. The write lock is held from the
   * last look at the log until the read lock is held again, so that no commit can fall between; a
   * writer waits no longer than the copy takes.
   */
  async #checkpointIfDue(): Promise<void> {
    const bytesMin = CHECKPOINT_PAGES_MIN * this.#source.pageSize;
    const { walBytes } = this.#capture;
    if (walBytes < this.#checkpointedAtBytes) this.#checkpointedAtBytes = 0;
    if (walBytes - this.#checkpointedAtBytes < bytesMin) return;
    await this.#source.withWriteLock(async () => {
      await this.#captureAll();
      this.#source.releaseReadLock();
      try {
        const { logFrames, checkpointedFrames } = this.#source.checkpointPassive();
        this.#onEvent({
          event: "checkpointed",
          log_frames: logFrames,
          checkpointed_frames: checkpointedFrames,
        });
      } catch (error) {
        // Another process checkpoints at this moment: as good as our own.
        if (isReplicaError(error) || !/locked|busy/i.test((error as Error).message)) throw error;
      } finally {
        this.#source.holdReadLock();
      }
      this.#checkpointedAtBytes = this.#capture.walBytes;
    });
  }
}
