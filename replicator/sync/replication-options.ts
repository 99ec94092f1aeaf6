import type { Txid } from "../../shared/ltx/txid.ts";
import type { MaintenanceOptions } from "./build-maintenance.ts";
import type { ReplicationEvent } from "./events.ts";

/** How one database is replicated. Times in milliseconds. */
export interface ReplicationOptions extends MaintenanceOptions {
  readonly databasePath: string;
  /** Ends a start that waits for the store. */
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: ReplicationEvent) => void) | undefined;
  readonly now?: () => number;
  /** After a burst, steady writing is shipped as one file in so many milliseconds. */
  readonly syncIntervalMs?: number | undefined;
  /** Where staged files are kept; beside the database when it is left out. */
  readonly stagingFolder?: string | undefined;
  /** False: no lease is taken, for stores without conditional writes. The path must have one writer then. */
  readonly lease?: boolean | undefined;
  /** An edge bundle is kept up to date beside the LTX files, for the Worker; not by default. */
  readonly edgeBundle?: boolean | undefined;
  /** A file's upload may begin when so many bytes of it are staged; from what takes more than one PUT on when left out. */
  readonly earlyBytesMin?: number | undefined;
}

/** Where a replication stands. */
export interface ReplicationState {
  readonly txid: Txid | undefined;
  readonly uploaded: Txid | undefined;
  /** Files that are staged and not in the store. */
  readonly waiting: number;
  /** When all that was committed was last seen to be in the store, in milliseconds since the epoch. */
  readonly syncedAtMs?: number | undefined;
}

/** What is done after everything is shipped, and before the end. */
export interface OnceExtras {
  /** A snapshot is written unless there is one of the newest TXID. */
  readonly forceSnapshot?: boolean | undefined;
  /** What retention allows to be deleted is deleted now. */
  readonly enforceRetention?: boolean | undefined;
}
