import type { Txid } from "../../shared/ltx/txid.ts";
import type { ReplicationState } from "../sync/replication-options.ts";

/** Litestream's words for what a database does. */
export type DatabaseStatus = "replicating" | "open" | "stopped";

/** One database of a running replicator, as the control socket, the metrics and the library see it. */
export interface ControlledDatabase {
  /** Absolute. */
  readonly path: string;
  /** Without credentials. */
  readonly replicaUrl: string;
  readonly status: DatabaseStatus;
  /** Why it is stopped, when an error stopped it. */
  readonly error: string | undefined;
  readonly state: ReplicationState;
  /** When everything that was committed was last found in the store, milliseconds since the epoch. */
  readonly lastSyncAtMs: number | undefined;
  /**
   * Stages all that is committed now; with `wait`, resolves when it is safely in the store.
   *
   * @throws {ReplicaError} `ABORTED`, `SOURCE_INVALID` when the database is stopped.
   */
  sync(options: { readonly wait: boolean; readonly signal: AbortSignal }): Promise<SyncAnswer>;
}

export interface SyncAnswer {
  /** The TXID that holds all that was committed when it was asked; undefined when there was nothing yet. */
  readonly txid: Txid | undefined;
  /** The newest TXID in the store. */
  readonly uploaded: Txid | undefined;
}

/** The databases of a running replicator, and what may be asked of them. */
export interface ControlTarget {
  databases(): readonly ControlledDatabase[];
  /** By path, however it is spelled; undefined when it is not one of ours. */
  find(path: string): ControlledDatabase | undefined;
  /** Opens and replicates a database that was stopped. Resolves when it runs; does nothing when it runs already. */
  start(path: string, signal: AbortSignal): Promise<ControlledDatabase>;
  /** Ships what is left, and closes it. Does nothing when it is stopped already. */
  stop(path: string, signal: AbortSignal): Promise<ControlledDatabase>;
  register(path: string, replicaUrl: string, signal: AbortSignal): Promise<ControlledDatabase>;
  /** Stops a database and forgets it; the replica stays as it is. */
  unregister(path: string, signal: AbortSignal): Promise<ControlledDatabase>;
}
