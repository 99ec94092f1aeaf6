/** The order of things: database → staging directory → store. Nothing else knows it. */
import type { Txid } from "../../shared/ltx/txid.ts";
import type { Maintenance } from "../compaction/maintenance.ts";
import { ProcessLock } from "../source/process-lock.ts";
import { SourceDatabase } from "../source/source-database.ts";
import { watchWal } from "../wal/wal-watcher.ts";
import { buildMaintenance } from "./build-maintenance.ts";
import { Checkpoints } from "./checkpoint.ts";
import { Continuity } from "./continuity.ts";
import { Demands } from "./demands.ts";
import { checkpointedEvent, startedEvent, stoppedEvent, type ReplicationEvent } from "./events.ts";
import { Lease } from "./lease.ts";
import type { SnapshotParts } from "./open-snapshot.ts";
import { Pacer } from "./pacer.ts";
import { PageMemory } from "./page-memory.ts";
import type { OnceExtras, ReplicationOptions, ReplicationState } from "./replication-options.ts";
import { keepBundle } from "./keep-bundle.ts";
import { tellUploads } from "./progress.ts";
import { findResumePoint, reconcile } from "./reconcile.ts";
import { Stager } from "./stager.ts";
import { Staging } from "./staging.ts";
import { Uploader } from "./uploader.ts";
import { Wakeup } from "./wakeup.ts";
import { WalCapture } from "./wal-capture.ts";

/** A log of which so much waits to be captured is captured whatever the pace is. In bytes. */
const LONG_LOG_BYTES = 16 * 1024 * 1024;
/** What steady writing comes down to, in milliseconds a file; Litestream's interval. */
const SYNC_INTERVAL_MS = 1_000;
/** What is left is uploaded for so long after the end was asked for, in milliseconds. */
const DRAIN_MS = 30_000;

/** One database, followed. Locks are taken in this order: process, lease, read lock, write lock. */
export class Replication {
  readonly #lock: ProcessLock;
  readonly #source: SourceDatabase;
  readonly #capture: WalCapture;
  readonly #uploader: Uploader;
  readonly #onEvent: (event: ReplicationEvent) => void;
  readonly #pacer: Pacer;
  readonly #wakeup: Wakeup;
  readonly #checkpoints: Checkpoints;
  readonly #maintenance: Maintenance;
  readonly #continuity: Continuity;
  readonly #stager: Stager;
  readonly #demands = new Demands();
  #syncedAtMs: number | undefined;
  #isRunning = false;
  /** What waits in the log is left there for now, perhaps because the store is behind. */
  #isHeldBack = false;
  /** Fires when nothing is captured or uploaded any more. */
  readonly #ended = new AbortController();

  private constructor(parts: {
    lock: ProcessLock;
    source: SourceDatabase;
    capture: WalCapture;
    uploader: Uploader;
    onEvent: (event: ReplicationEvent) => void;
    pacer: Pacer;
    wakeup: Wakeup;
    maintenance: (parts: SnapshotParts & { uploader: Uploader }) => Maintenance;
    continuity: Continuity;
  }) {
    this.#lock = parts.lock;
    this.#source = parts.source;
    this.#capture = parts.capture;
    this.#uploader = parts.uploader;
    this.#onEvent = parts.onEvent;
    this.#pacer = parts.pacer;
    this.#wakeup = parts.wakeup;
    this.#continuity = parts.continuity;
    this.#stager = new Stager(parts, this.#ended.signal);
    this.#checkpoints = new Checkpoints({
      source: this.#source,
      capture: this.#capture,
      captureWhatIsThere: () => this.#stager.whatIsThere(),
      stageHeld: async (file) => this.#stager.handOver(await file.finish()),
      onCheckpoint: (done) => this.#onEvent(checkpointedEvent(done)),
    });
    const ship = (signal: AbortSignal) =>
      this.#isRunning ? this.sync(signal) : this.#shipOnce(signal);
    const checkpoints = this.#checkpoints;
    this.#maintenance = parts.maintenance({ ...parts, checkpoints, ship });
  }

  /**
   * Opens the database, takes its locks, and finds where to go on. Nothing is written to the store yet.
   * @throws {ReplicaError} `SOURCE_INVALID`, `WRITER_CONFLICT`, `LOCAL_FILE`, `BAD_CONFIG`, what the store throws.
   */
  static async start(options: ReplicationOptions): Promise<Replication> {
    const { databasePath, onEvent = () => undefined, now = Date.now } = options;
    const told = tellUploads(options.replica, onEvent);
    const { syncIntervalMs = SYNC_INTERVAL_MS, earlyBytesMin, signal } = options;
    // A start that fails leaves nothing behind: this process may try again.
    using undo = new DisposableStack();
    const source = undo.adopt(SourceDatabase.open(databasePath), (opened) => opened.close());
    const staging = await Staging.open(source.path, options.stagingFolder);
    const lock = undo.adopt(ProcessLock.take(staging.folder), (taken) => taken.release());
    await staging.removeUnfinished();
    // Before the replica is listed: whatever another one writes from here on is noticed by it.
    const place = { replica: told, recordPath: staging.leaseRecordPath, now };
    const lease = options.lease === false ? undefined : await Lease.look(place, signal);
    const keeping = { replica: told, lease, staging, onEvent, now };
    const { replica, bundle } = keepBundle(options.edgeBundle, keeping);
    source.holdReadLock();
    const memory = await PageMemory.load(staging, source.pageSize);
    const here = { staging, source, signal };
    const { txid, staged, pending, uploaded } = await reconcile(replica, here);
    memory.keepOnly(staged);
    const capture = new WalCapture({ ...options, source, staging, now, txid, memory, onEvent });
    const wakeup = new Wakeup();
    const onUploaded = (uploadedTxid: Txid) => {
      // Otherwise whoever commits next wakes it.
      if (replication.#isHeldBack) wakeup.notify();
      replication.#maintenance.uploaded(uploadedTxid);
    };
    const shipping = { replica, staging, lease, onEvent, onDiverged: () => wakeup.notify() };
    const uploader = new Uploader({ ...shipping, earlyBytesMin, pending, uploaded, onUploaded });
    const onAdopted = (newest: Txid | undefined) => void replication.#maintenance.adopted(newest);
    const continuity = new Continuity({ ...shipping, source, lock, capture, uploader, onAdopted });
    const pacer = new Pacer({ intervalMs: syncIntervalMs, now: () => performance.now() });
    const maintenance = buildMaintenance({ ...options, ...keeping, replica, bundle }, staging);
    const running = { onEvent, pacer, wakeup, maintenance, continuity };
    const parts = { lock, source, capture, uploader, ...running };
    const replication = new Replication(parts);
    replication.#maintenance.uploaded(uploaded);
    const point = staged === undefined ? undefined : await findResumePoint(staging, staged, source);
    if (point) {
      capture.resume(point);
      await replication.#stager.whatIsThere();
    }
    onEvent(startedEvent(source, uploaded, point !== undefined));
    undo.move();
    return replication;
  }

  get state(): ReplicationState {
    const { txid } = this.#capture;
    const { uploaded, waiting } = this.#uploader;
    return { txid, uploaded, waiting, syncedAtMs: this.#syncedAtMs };
  }

  /**
   * Ships what is committed now, does what else is asked for, and gives the lease back.
   *
   * @throws {ReplicaError} What the store answers, after its own retries; the rest stays staged.
   */
  async once(signal: AbortSignal, extras: OnceExtras = {}): Promise<ReplicationState> {
    try {
      await this.#shipOnce(signal);
      if (extras.forceSnapshot) await this.snapshotNow(signal);
      if (extras.enforceRetention) await this.enforceRetentionNow(signal);
      await this.#maintenance.coverNow(signal);
    } finally {
      await this.#uploader.release();
    }
    return this.#stopped();
  }

  /**
   * Stages all that is committed when it is called, whatever the pace is, and waits until it is safely in
   * the store; without `wait`, until it is staged. Only while `run` runs.
   *
   * @returns The TXID that holds it all; undefined when there was never anything to ship.
   * @throws {ReplicaError} `ABORTED` when `signal` fires, or the replication ends, before that.
   */
  async sync(signal: AbortSignal, wait = true): Promise<Txid | undefined> {
    const either = AbortSignal.any([signal, this.#ended.signal]);
    for (;;) {
      const demand = this.#demands.add(either);
      this.#wakeup.notify();
      const txid = await demand;
      // Once more when the store's position was adopted meanwhile: the TXID means something else then.
      if (!wait || txid === undefined) return txid;
      if (await this.#uploader.whenUploaded(txid, either)) return txid;
    }
  }

  /**
   * Ships every commit until `signal` fires; then what is left, for a bounded time.
   *
   * @throws {ReplicaError} What cannot pass by itself: `WRITER_CONFLICT`, `SOURCE_INVALID`, `LOCAL_FILE`.
   */
  async run(signal: AbortSignal): Promise<ReplicationState> {
    this.#isRunning = true;
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
    const maintaining = this.#maintenance.run(captures.signal);
    maintaining.catch(stop);
    const watching = watchWal(this.#source.path, () => this.#wakeup.notify());
    try {
      let waitMs: number | undefined;
      while (!captures.signal.aborted) {
        await this.#wakeup.wait(captures.signal, waitMs);
        waitMs = await this.#continuity.patience.attempt(async () => {
          await this.#meetDemands();
          return await this.#follow(captures.signal);
        });
        if (waitMs === undefined && this.#uploader.waiting === 0) this.#syncedAtMs = Date.now();
      }
      await this.#stager.whatIsThere();
      await this.#meetDemands();
    } catch (error) {
      for (const each of [this.#ended, captures, uploads, giveUp]) each.abort(error);
      await Promise.allSettled([uploading, maintaining]);
      throw error;
    } finally {
      watching[Symbol.dispose]();
      uploads.abort();
      signal.removeEventListener("abort", stop);
    }
    const timer = setTimeout(() => giveUp.abort(), DRAIN_MS);
    try {
      await Promise.all([uploading, maintaining]);
      await this.#ship(() => this.#uploader.drain(giveUp.signal));
      await this.#uploader.release();
    } finally {
      clearTimeout(timer);
      this.#ended.abort();
    }
    return this.#stopped();
  }

  /** Writes a snapshot of what is committed now, unless there is one, and says whether it did. */
  snapshotNow(signal: AbortSignal): Promise<boolean> {
    return this.#maintenance.snapshotNow(signal);
  }

  /** Deletes what retention allows to be deleted now. */
  enforceRetentionNow(signal: AbortSignal): Promise<void> {
    return this.#maintenance.enforceRetentionNow(signal);
  }

  /** Ends locks and connections. Whoever ends the process instead keeps the log, and with it a cheap restart. */
  close(): void {
    this.#source.close();
    this.#lock.release();
  }

  async #shipOnce(signal: AbortSignal): Promise<void> {
    await this.#stager.whatIsThere();
    await this.#ship(() => this.#uploader.drainOrFail(signal));
  }

  /** Uploads what is staged, and the whole database once more where that turns out not to go on. */
  async #ship(upload: () => Promise<void>): Promise<void> {
    for (await upload(); this.#uploader.diverged !== undefined; await upload()) {
      await this.#stager.whatIsThere();
    }
  }

  #stopped(): ReplicationState {
    this.#onEvent(stoppedEvent(this.state));
    return this.state;
  }

  /**
   * Stages one file after the other for as long as there is something to stage and the pace allows it.
   * Answers when to look again at the latest, in milliseconds.
   */
  async #follow(signal: AbortSignal): Promise<number | undefined> {
    const longFrames = Math.ceil(LONG_LOG_BYTES / this.#source.pageSize);
    while (!signal.aborted) {
      // A long log is read whatever the pace is, so that it can be checkpointed.
      const isLong = this.#capture.hasFrames(longFrames);
      const waitMs = isLong ? 0 : this.#pacer.waitMs(this.#uploader.waiting);
      this.#isHeldBack = waitMs > 0;
      if (waitMs > 0) return waitMs;
      const { txid } = this.#capture;
      const isDue = txid !== undefined && this.#checkpoints.isDue();
      if (isDue) await this.#stager.undeterred(() => this.#checkpoints.run());
      else await this.#stager.next();
      if (this.#capture.txid === txid) return undefined;
      this.#pacer.take();
      // Whatever was committed meanwhile has woken this loop.
      if (!this.#capture.isCutShort && !this.#wakeup.isPending) return undefined;
    }
    return undefined;
  }

  async #meetDemands(): Promise<void> {
    await this.#demands.meet(async () => {
      await this.#stager.whatIsThere();
      return this.#capture.txid;
    });
  }
}
