import { setTimeout as delay } from "node:timers/promises";
import { ReplicaError, isReplicaError, throwIfAborted } from "../../shared/errors.ts";
import { formatInstant } from "../../shared/instant.ts";
import { decodeHeader } from "../../shared/ltx/header.ts";
import { formatTxid, type Txid } from "../../shared/ltx/txid.ts";
import { TIMESTAMP_METADATA } from "../../shared/replica/list-ltx-files.ts";
import { formatLtxKey, type Replica } from "../../shared/replica/ltx-key.ts";
import { isSameFile } from "./reconcile.ts";
import type { ReplicationEvent } from "./events.ts";
import type { Staging } from "./staging.ts";
import { Wakeup } from "./wakeup.ts";

const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 60_000;
/** Files that are in the store stay here too while they are so many and so few bytes: compactions read them. */
const KEPT_FILES_MAX = 256;
const KEPT_BYTES_MAX = 64 * 1024 * 1024;

export interface UploaderOptions {
  readonly replica: Replica;
  readonly staging: Staging;
  /** Staged files that the store lacks, ascending. */
  readonly pending: readonly Txid[];
  /** The newest TXID in the store. */
  readonly uploaded: Txid | undefined;
  readonly onEvent: (event: ReplicationEvent) => void;
  /** Called when one file fewer waits. */
  readonly onUploaded: (txid: Txid) => void;
}

/**
 * Moves staged files to the store, one after the other in the order of their TXIDs. While the store
 * does not answer it goes on trying; files wait in the staging directory.
 */
export class Uploader {
  readonly #replica: Replica;
  readonly #staging: Staging;
  readonly #queue: Txid[];
  readonly #onEvent: (event: ReplicationEvent) => void;
  readonly #onUploaded: (txid: Txid) => void;
  readonly #wakeup = new Wakeup();
  #uploaded: Txid | undefined;
  #failures = 0;
  #waiters: (() => void)[] = [];
  /** Ascending. */
  readonly #kept: { readonly txid: Txid; readonly sizeBytes: number }[];

  constructor({ replica, staging, pending, uploaded, onEvent, onUploaded }: UploaderOptions) {
    this.#replica = replica;
    this.#staging = staging;
    this.#queue = [...pending];
    this.#uploaded = uploaded;
    this.#kept = uploaded === undefined ? [] : [{ txid: uploaded, sizeBytes: 0 }];
    this.#onEvent = onEvent;
    this.#onUploaded = onUploaded;
  }

  /** The newest TXID that is safely in the store. */
  get uploaded(): Txid | undefined {
    return this.#uploaded;
  }

  /** Files that wait. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Resolves when `txid` is in the store; rejects with `ABORTED` when `signal` fires before. */
  async whenUploaded(txid: Txid, signal: AbortSignal): Promise<void> {
    while ((this.#uploaded ?? 0n) < txid) {
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
    while (!stop.aborted) {
      if (this.#queue.length > 0) await this.#uploadPatiently(giveUp, stop);
      else await this.#wakeup.wait(stop);
    }
  }

  /** Uploads what is there; goes on trying until `signal` fires, and then leaves the rest staged. */
  async drain(signal: AbortSignal): Promise<void> {
    while (this.#queue.length > 0 && !signal.aborted) {
      await this.#uploadPatiently(signal, signal);
    }
  }

  /** Uploads what is there, or throws what the store answered; the rest stays staged. */
  async drainOrFail(signal: AbortSignal): Promise<void> {
    while (this.#queue.length > 0) await this.#uploadNext(signal);
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

  async #uploadNext(signal: AbortSignal): Promise<void> {
    const [txid] = this.#queue;
    if (txid === undefined) return;
    const startedMs = performance.now();
    const { head, sizeBytes } = await this.#staging.ends(txid);
    const key = formatLtxKey(this.#replica, { level: 0, minTxid: txid, maxTxid: txid });
    const { timestampMs } = decodeHeader(head);
    const metadata = { [TIMESTAMP_METADATA]: formatInstant(timestampMs) };
    const body = await this.#staging.body(txid);
    try {
      const options = {
        metadata,
        onlyIf: { absent: true },
        sizeBytesMax: sizeBytes,
        signal,
      } as const;
      await this.#replica.store.put(key, body, options);
    } catch (cause) {
      if (!isReplicaError(cause, "STORE_CONFLICT")) throw cause;
      // The same file: our own PUT, whose answer was lost. Another one: somebody else's history.
      if (!(await isSameFile(this.#replica, this.#staging, txid, signal))) refuseOther(key, cause);
    }
    this.#queue.shift();
    this.#uploaded = txid;
    const ms = Math.round((performance.now() - startedMs) * 10) / 10;
    this.#onEvent({ event: "uploaded", txid: formatTxid(txid), bytes: sizeBytes, ms });
    this.#onUploaded(txid);
    for (const wake of this.#waiters.splice(0)) wake();
    await this.#keep(txid, sizeBytes);
  }

  /** Keeps the file that was uploaded last, by which a restart resumes, and some of those before it. */
  async #keep(txid: Txid, sizeBytes: number): Promise<void> {
    this.#kept.push({ txid, sizeBytes });
    let bytes = this.#kept.reduce((sum, file) => sum + file.sizeBytes, 0);
    while (
      this.#kept.length > 1 &&
      (this.#kept.length > KEPT_FILES_MAX || bytes > KEPT_BYTES_MAX)
    ) {
      const [oldest] = this.#kept;
      if (!oldest) return;
      await this.#staging.remove(oldest.txid);
      this.#kept.shift();
      bytes -= oldest.sizeBytes;
    }
  }
}

function refuseOther(key: string, cause: unknown): never {
  throw new ReplicaError(
    "WRITER_CONFLICT",
    `"${key}" is in the store already with other content: another replicator writes to this path. Stop it, then start this one again: it goes on after what it finds there`,
    { cause },
  );
}
