import type { Txid } from "../../shared/ltx/txid.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import type { ReplicationEvent } from "./events.ts";

/** How one database is replicated. */
export interface ReplicationOptions {
  readonly databasePath: string;
  readonly replica: Replica;
  readonly onEvent?: ((event: ReplicationEvent) => void) | undefined;
  readonly now?: () => number;
  /** After a burst, steady writing is shipped as one file in so many milliseconds. */
  readonly syncIntervalMs?: number | undefined;
  /** How often the levels from 1 on are written, in milliseconds; none: only level 0 is. */
  readonly levelIntervalsMs?: readonly number[] | undefined;
  /** Where staged files are kept; beside the database when it is left out. */
  readonly stagingFolder?: string | undefined;
  /** False: no lease is taken, for stores without conditional writes. The path must have one writer then. */
  readonly lease?: boolean | undefined;
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
