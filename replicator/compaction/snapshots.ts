import { isReplicaError, type ReplicaError } from "../../shared/errors.ts";
import { SNAPSHOT_LEVEL } from "../../shared/limits.ts";
import type { Txid } from "../../shared/ltx/txid.ts";
import { listLtxFiles, type LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import { localFailure } from "../storage/local-failure.ts";
import type { StoredLtx } from "./store-ltx.ts";
import { writeSnapshot, type SnapshotOptions } from "./write-snapshot.ts";

/** Litestream's interval, in milliseconds. */
const SNAPSHOT_INTERVAL_MS = 86_400_000;
const RETRY_MS_MIN = 10_000;
const RETRY_MS_MAX = 3_600_000;

export interface SnapshotsOptions extends Omit<SnapshotOptions, "signal"> {
  /** A snapshot is written when the newest is so old, and there is something newer. */
  readonly intervalMs?: number | undefined;
  readonly now: () => number;
  readonly onWritten: (file: StoredLtx) => void;
  /** It is tried again after so many milliseconds. */
  readonly onFailed: (error: ReplicaError, retryMs: number) => void;
}

/** The newest file that holds the whole database. */
interface Newest {
  readonly level: number;
  readonly txid: Txid;
  readonly createdAtMs: number;
}

/** Decides when level 9 gets its next file. Asks nothing of the store while nothing is new. */
export class Snapshots {
  readonly #options: SnapshotsOptions;
  readonly #intervalMs: number;
  #uploaded: Txid | undefined;
  /** Null before it was looked for; undefined when there is none. */
  #newest: Newest | undefined | null = null;
  #isNeeded = false;
  #notBeforeMs = 0;
  #failures = 0;

  constructor(options: SnapshotsOptions) {
    this.#options = options;
    this.#intervalMs = options.intervalMs ?? SNAPSHOT_INTERVAL_MS;
  }

  /** Says what the newest TXID at level 0 is; undefined at the start of an empty replica. */
  uploaded(txid: Txid | undefined): void {
    this.#uploaded = txid;
    if (txid === undefined) this.#newest = undefined;
    // The first file of an empty replica holds the whole database itself.
    if (txid === 1n && this.#newest === undefined) {
      this.#newest = { level: 0, txid, createdAtMs: this.#options.now() };
    }
  }

  /** Forgets what it has seen of the store. */
  forget(): void {
    this.#newest = null;
  }

  /** A snapshot is to be written as soon as possible, because TXIDs are missing. */
  need(): void {
    this.#isNeeded = true;
  }

  /** When there is something to do, in milliseconds since the epoch; `Infinity` while there is nothing. */
  get dueMs(): number {
    return Math.max(this.#notBeforeMs, this.#wantedMs());
  }

  #wantedMs(): number {
    if (this.#uploaded === undefined) return Number.POSITIVE_INFINITY;
    if (this.#isNeeded || !this.#newest) return 0;
    const { txid, createdAtMs } = this.#newest;
    return this.#uploaded <= txid ? Number.POSITIVE_INFINITY : createdAtMs + this.#intervalMs;
  }

  /** Writes one if its time has come, and says whether it did. */
  async runDue(signal: AbortSignal): Promise<boolean> {
    const { now, onFailed } = this.#options;
    if (now() < this.dueMs) return false;
    try {
      if (!this.#isNeeded) await this.#find(signal);
      if (now() < this.dueMs) return false;
      await this.#write(signal);
      return true;
    } catch (error) {
      if (!isReplicaError(error) || isReplicaError(error, "WRITER_CONFLICT")) throw error;
      if (signal.aborted) return false;
      const retryMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** this.#failures++);
      this.#notBeforeMs = now() + retryMs;
      onFailed(error, retryMs);
      return false;
    }
  }

  /** Writes one of all that is committed now, unless the newest is of that. */
  async writeNow(signal: AbortSignal): Promise<boolean> {
    await this.#find(signal);
    const snapshot = await this.#options.open(signal);
    const isThere = this.#newest?.level === SNAPSHOT_LEVEL && this.#newest.txid === snapshot.txid;
    if (isThere) snapshot[Symbol.dispose]();
    else await this.#write(signal, async () => snapshot);
    return !isThere;
  }

  async #write(signal: AbortSignal, open = this.#options.open): Promise<void> {
    const file = await writeSnapshot({ ...this.#options, open, signal }).catch((error: unknown) => {
      // Its folder may be removed at any moment, as the staging directory is put right.
      throw localFailure(error);
    });
    this.#newest = { level: file.level, txid: file.maxTxid, createdAtMs: this.#options.now() };
    this.#isNeeded = false;
    this.#failures = 0;
    this.#notBeforeMs = 0;
    this.#options.onWritten(file);
  }

  /** At level 9; where that is empty, at the beginning of another level. */
  async #find(signal: AbortSignal): Promise<void> {
    if (this.#newest !== null) return;
    const { replica } = this.#options;
    const snapshots = await Array.fromAsync(
      listLtxFiles(replica, { level: SNAPSHOT_LEVEL, signal }),
    );
    let newest: LtxFileInfo | undefined = snapshots.at(-1);
    for (let level = 0; level < SNAPSHOT_LEVEL && !newest; level++) {
      for await (const file of listLtxFiles(replica, { level, signal })) {
        if (file.minTxid > 1n) break;
        newest = file;
      }
    }
    this.#newest = newest && {
      level: newest.level,
      txid: newest.maxTxid,
      createdAtMs: newest.createdAtMs,
    };
  }
}
