import type { BundleKeeper } from "../bundle/bundle-keeper.ts";
import type { Txid } from "../../shared/ltx/txid.ts";
import { Wakeup } from "../sync/wakeup.ts";
import type { Ladder } from "./ladder.ts";
import type { Retention } from "./retention.ts";
import type { Snapshots } from "./snapshots.ts";

/** The longest time that a timer takes is 24 days; once a day costs nothing. */
const WAIT_MS_MAX = 86_400_000;

export interface MaintenanceParts {
  readonly ladder: Ladder;
  readonly snapshots: Snapshots;
  /** Absent where nothing is to be deleted. */
  readonly retention: Retention | undefined;
  /** Absent where the replica has no edge bundle. */
  readonly bundle: BundleKeeper | undefined;
  readonly now: () => number;
}

/**
 * What a replica needs beside level 0: the levels above it, snapshots, and retention. One of them at a time:
 * each may hold as much memory as a whole replication.
 */
export class Maintenance {
  readonly #parts: MaintenanceParts;
  readonly #wakeup = new Wakeup();
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: MaintenanceParts) {
    this.#parts = parts;
  }

  /** Says what the newest TXID at level 0 is; undefined at the start of an empty replica. */
  uploaded(txid: Txid | undefined): void {
    const { ladder, snapshots, bundle } = this.#parts;
    const dueMs = this.#dueMs();
    ladder.uploaded(txid);
    snapshots.uploaded(txid);
    bundle?.uploaded();
    if (this.#dueMs() < dueMs) this.#wakeup.notify();
  }

  /**
   * As `uploaded`, where a replication took up the store's position anew: what it had seen of the store may be
   * of another history, so that the store is asked again. What is under way ends first.
   */
  async adopted(txid: Txid | undefined): Promise<void> {
    const { ladder, snapshots, retention, bundle } = this.#parts;
    this.uploaded(txid);
    await this.#alone(async () => {
      for (const each of [ladder, snapshots, retention, bundle]) each?.forget();
    });
    this.#wakeup.notify();
  }

  /** Does what is due when its time comes, until `signal` fires. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const waitMs = this.#dueMs() - this.#parts.now();
      await this.#wakeup.wait(signal, Math.min(WAIT_MS_MAX, Math.max(0, waitMs)));
      if (!signal.aborted) await this.runDue(signal);
    }
  }

  /** Does what is due. */
  async runDue(signal: AbortSignal): Promise<void> {
    const { ladder, snapshots, retention, bundle } = this.#parts;
    await this.#alone(async () => {
      await ladder.runDue(signal);
      if (await snapshots.runDue(signal)) {
        // Where TXIDs are missing, the levels go on behind it.
        ladder.retry();
        await ladder.runDue(signal);
      }
      await retention?.runDue(signal);
      await bundle?.runDue(signal);
    });
  }

  /**
   * Writes a snapshot of the newest TXID now, unless there is one.
   *
   * @returns Whether one was written.
   * @throws {ReplicaError} What `writeSnapshot` throws.
   */
  async snapshotNow(signal: AbortSignal): Promise<boolean> {
    return await this.#alone(() => this.#parts.snapshots.writeNow(signal));
  }

  /**
   * Deletes what retention allows to be deleted now.
   *
   * @throws {ReplicaError} What the store throws, but for a refusal, which is told as an event.
   */
  async enforceRetentionNow(signal: AbortSignal): Promise<void> {
    await this.#alone(async () => await this.#parts.retention?.enforceNow(signal));
  }

  /** Brings the edge bundle to what is in the store now, where it does not cover that yet. */
  async coverNow(signal: AbortSignal): Promise<void> {
    await this.#alone(async () => await this.#parts.bundle?.writeNow(signal));
  }

  #dueMs(): number {
    const { ladder, snapshots, retention, bundle } = this.#parts;
    const optional = [retention, bundle].map((each) => each?.dueMs ?? Number.POSITIVE_INFINITY);
    return Math.min(ladder.dueMs, snapshots.dueMs, ...optional);
  }

  async #alone<Result>(job: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(job);
    this.#last = result.catch(() => undefined);
    return await result;
  }
}
