/** The order of things: database → staging directory → store. Nothing else knows it. */
import { ReplicaError, isReplicaError } from "../../shared/errors.ts";
import { formatTxid, type Txid } from "../../shared/ltx/txid.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { ProcessLock } from "../source/process-lock.ts";
import { SourceDatabase } from "../source/source-database.ts";
import { watchWal } from "../wal/wal-watcher.ts";
import type { ReplicationEvent } from "./events.ts";
import { Pacer } from "./pacer.ts";
import { findResumePoint, reconcile } from "./reconcile.ts";
import { Staging } from "./staging.ts";
import { Uploader } from "./uploader.ts";
import { Wakeup } from "./wakeup.ts";
import { WalCapture } from "./wal-capture.ts";

/** From so many pages of synced log on, it is checkpointed; Litestream's threshold. */
const CHECKPOINT_PAGES_MIN = 1_000;
/** What steady writing comes down to, in milliseconds a file; Litestream's interval. */
export const SYNC_INTERVAL_MS = 1_000;
/** What is left is uploaded for so long after the end was asked for, in milliseconds. */
const DRAIN_MS = 30_000;

export interface ReplicationOptions {
  readonly databasePath: string;
  readonly replica: Replica;
  readonly onEvent?: ((event: ReplicationEvent) => void) | undefined;
  readonly now?: () => number;
  /** After a burst, steady writing is shipped as one file in so many milliseconds. */
  readonly syncIntervalMs?: number | undefined;
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
  readonly #pacer: Pacer;
  readonly #wakeup: Wakeup;
  /** Synced log at which the last checkpoint was tried: it is tried again when there is as much more. */
  #checkpointedAtBytes = 0;

  private constructor(parts: {
    lock: ProcessLock;
    source: SourceDatabase;
    capture: WalCapture;
    uploader: Uploader;
    onEvent: (event: ReplicationEvent) => void;
    pacer: Pacer;
    wakeup: Wakeup;
  }) {
    this.#lock = parts.lock;
    this.#source = parts.source;
    this.#capture = parts.capture;
    this.#uploader = parts.uploader;
    this.#onEvent = parts.onEvent;
    this.#pacer = parts.pacer;
    this.#wakeup = parts.wakeup;
  }

  /**
   * Opens the database, takes its locks, and finds where to go on. Nothing is written to the store yet.
   *
   * @throws {ReplicaError} `SOURCE_INVALID`, `WRITER_CONFLICT`, `BAD_CONFIG`, and what the store throws.
   */
  static async start(options: ReplicationOptions): Promise<Replication> {
    const { databasePath, replica, onEvent = () => undefined, now = Date.now } = options;
    const { syncIntervalMs = SYNC_INTERVAL_MS } = options;
    const source = SourceDatabase.open(databasePath);
    const staging = await Staging.open(databasePath);
    const lock = ProcessLock.take(staging.folder);
    source.holdReadLock();
    const { txid, staged, pending, uploaded } = await reconcile(replica, staging);
    const capture = new WalCapture({ source, staging, now, txid });
    const wakeup = new Wakeup();
    const onUploaded = () => wakeup.notify();
    const uploader = new Uploader({ replica, staging, pending, uploaded, onEvent, onUploaded });
    const pacer = new Pacer({ intervalMs: syncIntervalMs, now: () => performance.now() });
    const parts = { lock, source, capture, uploader, onEvent, pacer, wakeup };
    const replication = new Replication(parts);
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
    await this.#captureWhatIsThere();
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
    const watching = watchWal(this.#source.path, () => this.#wakeup.notify());
    try {
      let waitMs: number | undefined;
      while (!captures.signal.aborted) {
        await this.#wakeup.wait(captures.signal, waitMs);
        waitMs = await this.#follow(captures.signal);
      }
      await this.#captureWhatIsThere();
    } finally {
      watching[Symbol.dispose]();
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

  /**
   * Stages one file after the other for as long as there is something to stage and the pace allows it.
   * Answers when to look again at the latest, in milliseconds.
   */
  async #follow(signal: AbortSignal): Promise<number | undefined> {
    while (!signal.aborted) {
      // A long log is read whatever the pace is, so that it can be checkpointed.
      const isLong = this.#capture.hasWaitingFrames(CHECKPOINT_PAGES_MIN);
      const waitMs = isLong ? 0 : this.#pacer.waitMs(this.#uploader.waiting);
      if (waitMs > 0) return waitMs;
      if (!(await this.#captureNext())) return undefined;
      this.#pacer.take();
      await this.#checkpointIfDue();
    }
    return undefined;
  }

  /** Stages everything that is committed when it is called, and no more than a little of what follows. */
  async #captureWhatIsThere(): Promise<void> {
    const endBytes = this.#capture.walFileBytes();
    do {
      if (!(await this.#captureNext())) return;
    } while (this.#capture.walBytes < endBytes);
  }

  /** Stages the next file, and says whether there was one: up to 64 MiB of the log. */
  async #captureNext(): Promise<boolean> {
    if (!this.#source.isStillInPlace()) {
      throw new ReplicaError(
        "SOURCE_INVALID",
        `${this.#source.path} was replaced or removed while it was replicated: start the replicator again, it ships the new file whole`,
      );
    }
    const staged = await this.#capture.capture();
    if (!staged) return false;
    const { txid, sizeBytes, pageCount, imageReason } = staged;
    const file = { txid: formatTxid(txid), bytes: sizeBytes, pages: pageCount };
    this.#onEvent({ event: "staged", ...file, image: imageReason ?? null });
    this.#uploader.add(txid);
    return true;
  }

  /** Stages all there is. Only under the write lock: an application that goes on writing would keep it going. */
  async #captureAll(): Promise<void> {
    while (await this.#captureNext());
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
