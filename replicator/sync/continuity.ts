import { formatTxid, type Txid } from "../../shared/ltx/txid.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import type { ProcessLock } from "../source/process-lock.ts";
import type { SourceDatabase } from "../source/source-database.ts";
import type { ReplicationEvent } from "./events.ts";
import type { Lease } from "./lease.ts";
import { Patience } from "./patience.ts";
import { reconcile } from "./reconcile.ts";
import type { Staging } from "./staging.ts";
import type { Uploader } from "./uploader.ts";
import type { WalCapture } from "./wal-capture.ts";

export interface ContinuityParts {
  readonly replica: Replica;
  readonly source: SourceDatabase;
  readonly staging: Staging;
  readonly lock: ProcessLock;
  readonly lease: Lease | undefined;
  readonly capture: WalCapture;
  readonly uploader: Uploader;
  readonly onEvent: (event: ReplicationEvent) => void;
  /** Told what the newest TXID in the store is, when what was remembered of the store counts no more. */
  readonly onAdopted: (uploaded: Txid | undefined) => void;
}

/**
 * Sees to it that what is captured next goes on with what is in the store. Where what is staged does
 * not, or may not, the store's position is taken up as a start takes it up.
 */
export class Continuity {
  /** Waits out what keeps it from going on and passes by itself. */
  readonly patience: Patience;
  readonly #parts: ContinuityParts;

  constructor(parts: ContinuityParts) {
    this.#parts = parts;
    const { onEvent, uploader } = parts;
    this.patience = new Patience({
      onEvent,
      waiting: () => uploader.waiting,
      makeRoom: () => uploader.makeRoom(),
      now: () => performance.now(),
    });
  }

  /**
   * To be called before each capture: after it the next file may be staged. What was staged and not
   * uploaded is in the database, and so in the next file, which holds all of it.
   *
   * @throws {ReplicaError} `SOURCE_INVALID` when the database is not the file that it was,
   *   `WRITER_CONFLICT` when another replicator was faster, and what the store throws: then it is still
   *   to be done.
   */
  async assure(signal: AbortSignal): Promise<void> {
    const { replica, source, staging, lock, lease, capture, uploader } = this.#parts;
    source.expectInPlace();
    const isLost = !lock.isInPlace();
    const reason = isLost ? "the staging directory was removed" : uploader.diverged;
    if (reason === undefined) return;
    await uploader.halt(reason);
    if (isLost) {
      await staging.make();
      lock.retake();
      // While there was no lock another process may have been here.
      await lease?.confirm(signal);
    }
    const { txid, pending, uploaded } = await reconcile(replica, { staging, source, signal });
    capture.reset(txid);
    uploader.restart({ pending, uploaded });
    this.#parts.onAdopted(uploaded);
    const newest = uploaded === undefined ? null : formatTxid(uploaded);
    this.#parts.onEvent({ event: "adopted", txid: newest, reason });
  }
}
