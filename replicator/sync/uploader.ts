import { setTimeout as delay } from "node:timers/promises";
import { isReplicaError, throwIfAborted } from "../../shared/errors.ts";
import { formatTxid, type Txid } from "../../shared/ltx/txid.ts";
import { EarlyUpload } from "./early-upload.ts";
import type { ReplicationEvent } from "./events.ts";
import type { StartingPoint } from "./reconcile.ts";
import { Shipping, type ShippingParts } from "./ship-file.ts";
import type { Staging } from "./staging.ts";
import { Wakeup } from "./wakeup.ts";

const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 60_000;
/** Files that are in the store stay here too while they are so many and so few bytes: compactions read them. */
const KEPT_FILES_MAX = 256;
const KEPT_BYTES_MAX = 64 * 1024 * 1024;

export interface UploaderOptions extends Omit<ShippingParts, "early"> {
  /** From so many bytes on a file's upload begins while it is staged; see `EarlyUpload`. */
  readonly earlyBytesMin?: number | undefined;
  /** Staged files that the store lacks, ascending. */
  readonly pending: readonly Txid[];
  /** The newest TXID in the store. */
  readonly uploaded: Txid | undefined;
  readonly onEvent: (event: ReplicationEvent) => void;
  /** Called when one file fewer waits. */
  readonly onUploaded: (txid: Txid) => void;
  /** Called when what is staged is not what the store's history goes on with: see `diverged`. */
  readonly onDiverged: () => void;
}

/**
 * Moves staged files to the store, one after the other in the order of their TXIDs. While the store
 * does not answer it goes on trying; files wait in the staging directory.
 */
export class Uploader {
  readonly #shipping: Shipping;
  readonly #staging: Staging;
  #queue: Txid[];
  readonly #onEvent: (event: ReplicationEvent) => void;
  readonly #onUploaded: (txid: Txid) => void;
  readonly #onDiverged: () => void;
  readonly #wakeup = new Wakeup();
  #uploaded: Txid | undefined;
  #diverged: string | undefined;
  #underWay: Promise<void> = Promise.resolve();
  /** How often `restart` was called. */
  #restarts = 0;
  #failures = 0;
  #waiters: (() => void)[] = [];
  /** Ascending. */
  #kept: { readonly txid: Txid; readonly sizeBytes: number }[];

  constructor(options: UploaderOptions) {
    const { staging, pending, uploaded, onEvent, onUploaded, onDiverged } = options;
    const { replica, earlyBytesMin: bytesMin } = options;
    const early = new EarlyUpload({ replica, isNext: () => this.isIdle, bytesMin });
    staging.follow(early);
    this.#shipping = new Shipping({ ...options, early });
    this.#staging = staging;
    this.#queue = [...pending];
    this.#uploaded = uploaded;
    this.#kept = uploaded === undefined ? [] : [{ txid: uploaded, sizeBytes: 0 }];
    this.#onEvent = onEvent;
    this.#onUploaded = onUploaded;
    this.#onDiverged = onDiverged;
  }

  /** The newest TXID that is safely in the store. */
  get uploaded(): Txid | undefined {
    return this.#uploaded;
  }

  /** Files that wait. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Nothing waits, and nothing keeps what comes next from being uploaded. */
  get isIdle(): boolean {
    return this.#queue.length === 0 && this.#diverged === undefined;
  }

  /**
   * Why what is staged is not what the store's history goes on with; undefined while it is. Until
   * `restart` nothing is uploaded then.
   */
  get diverged(): string | undefined {
    return this.#diverged;
  }

  /** Begins no upload any more, until `restart`, and waits for the one that is under way. */
  async halt(reason: string): Promise<void> {
    this.#diverged ??= reason;
    await this.#underWay;
    this.#shipping.drop();
  }

  /** Goes on with other files than those that waited. */
  restart({ pending, uploaded }: Pick<StartingPoint, "pending" | "uploaded">): void {
    this.#queue = [...pending];
    this.#uploaded = uploaded;
    this.#kept = uploaded === undefined ? [] : [{ txid: uploaded, sizeBytes: 0 }];
    this.#diverged = undefined;
    this.#restarts++;
    for (const wake of this.#waiters.splice(0)) wake();
    this.#wakeup.notify();
  }

  /**
   * Resolves when `txid` is in the store: to false when others took the place of the files that waited, so
   * that it is not the `txid` that was meant. Rejects with `ABORTED` when `signal` fires before.
   */
  async whenUploaded(txid: Txid, signal: AbortSignal): Promise<boolean> {
    const restarts = this.#restarts;
    for (;;) {
      if (restarts !== this.#restarts || this.#diverged !== undefined) return false;
      if ((this.#uploaded ?? 0n) >= txid) return true;
      throwIfAborted(signal);
      const next = Promise.withResolvers<void>();
      const leave = () => next.resolve();
      signal.addEventListener("abort", leave, { once: true });
      this.#waiters.push(leave);
      await next.promise;
      signal.removeEventListener("abort", leave);
    }
  }

  add(txid: Txid): void {
    // What has to wait is read when its turn comes: it is the file that counts then.
    if (this.#queue.length > 0) this.#staging.forgetRecent();
    this.#queue.push(txid);
    this.#wakeup.notify();
  }

  /**
   * Uploads whatever is there and whatever comes, until `stop` fires: then the upload that is under
   * way is the last. `giveUp` ends that one too.
   *
   * @throws {ReplicaError} `WRITER_CONFLICT` when another replicator writes to the same path.
   */
  async run({ stop, giveUp }: { stop: AbortSignal; giveUp: AbortSignal }): Promise<void> {
    giveUp.addEventListener("abort", () => this.#shipping.drop(), { once: true });
    while (!stop.aborted) {
      if (this.#hasNext()) await this.#uploadPatiently(giveUp, stop);
      else await this.#wakeup.wait(stop);
    }
  }

  /**
   * Uploads what is there, as far as it has not diverged; goes on trying until `signal` fires, and then
   * leaves the rest staged.
   */
  async drain(signal: AbortSignal): Promise<void> {
    while (this.#hasNext() && !signal.aborted) {
      await this.#uploadPatiently(signal, signal);
    }
  }

  /** Uploads what is there, or throws what the store answered; the rest stays staged. */
  async drainOrFail(signal: AbortSignal): Promise<void> {
    while (this.#hasNext()) await this.#uploadNext(signal);
  }

  /** Gives the lease back, so that another replicator need not wait for it to run out. */
  async release(): Promise<void> {
    await this.#shipping.release();
  }

  #hasNext(): boolean {
    return this.#queue.length > 0 && this.#diverged === undefined;
  }

  /** Waits after a failure that may pass; `stop` ends that wait. */
  async #uploadPatiently(signal: AbortSignal, stop: AbortSignal): Promise<void> {
    try {
      await this.#uploadNext(signal);
      this.#failures = 0;
    } catch (error) {
      if (isReplicaError(error, "ABORTED") || signal.aborted) return;
      const isPassing = isReplicaError(error, "R2_ERROR") || isReplicaError(error, "STORE_DENIED");
      if (!isPassing) throw error;
      const retryMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** this.#failures++);
      const { message } = error;
      this.#onEvent({
        event: "store-unavailable",
        message,
        retry_ms: retryMs,
        waiting: this.waiting,
      });
      await delay(retryMs, undefined, { signal: stop }).catch(() => undefined);
    }
  }

  #uploadNext(signal: AbortSignal): Promise<void> {
    const uploading = this.#upload(signal);
    this.#underWay = uploading.catch(() => undefined);
    return uploading;
  }

  async #upload(signal: AbortSignal): Promise<void> {
    const [txid] = this.#queue;
    if (txid === undefined || this.#diverged !== undefined) return;
    const startedMs = performance.now();
    const shipment = await this.#shipping.ship(txid, signal);
    if ("diverged" in shipment) {
      this.#diverged ??= shipment.diverged;
      this.#onDiverged();
      return;
    }
    const { sizeBytes } = shipment;
    this.#queue.shift();
    this.#uploaded = txid;
    const ms = Math.round((performance.now() - startedMs) * 10) / 10;
    this.#onEvent({ event: "uploaded", txid: formatTxid(txid), bytes: sizeBytes, ms });
    this.#onUploaded(txid);
    for (const wake of this.#waiters.splice(0)) wake();
    await this.#keep(txid, sizeBytes);
  }

  /** Removes what is kept here of files that are in the store, but for the newest: compactions read them from there. */
  async makeRoom(): Promise<void> {
    await this.#trim(1, 0);
  }

  /** Keeps the file that was uploaded last, by which a restart resumes, and some of those before it. */
  async #keep(txid: Txid, sizeBytes: number): Promise<void> {
    this.#kept.push({ txid, sizeBytes });
    await this.#trim(KEPT_FILES_MAX, KEPT_BYTES_MAX);
  }

  async #trim(filesMax: number, bytesMax: number): Promise<void> {
    let bytes = this.#kept.reduce((sum, file) => sum + file.sizeBytes, 0);
    while (this.#kept.length > 1 && (this.#kept.length > filesMax || bytes > bytesMax)) {
      const [oldest] = this.#kept;
      if (!oldest) return;
      await this.#staging.remove(oldest.txid);
      this.#kept.shift();
      bytes -= oldest.sizeBytes;
    }
  }
}
