import { formatTxid, type Txid } from "../../shared/ltx/txid.ts";
import type { CheckpointResult } from "../source/passive-checkpointer.ts";
import type { SourceDatabase } from "../source/source-database.ts";
import type { ProgressEvent } from "./progress.ts";
import type { StagedFile } from "./staging.ts";
import type { ReplicationState } from "./replication-options.ts";

/** What happens while a database is replicated; printed as it stands by `--json`. */
export type ReplicationEvent =
  | ProgressEvent
  | {
      readonly event: "started";
      readonly db: string;
      /** Newest TXID in the store, 16 hex digits; null when it is empty. */
      readonly txid: string | null;
      readonly switched_to_wal: boolean;
      readonly resumed: boolean;
    }
  | {
      readonly event: "staged";
      readonly txid: string;
      readonly bytes: number;
      readonly pages: number;
      /** Why the file holds the whole database; null when it holds what changed. */
      readonly image: string | null;
    }
  | {
      /**
       * All pages were held against what was shipped, because the log could not show what changed. Only
       * those that differ are shipped, as the next TXID; where none does, there is none.
       */
      readonly event: "compared";
      /** Why the log could not. */
      readonly reason: string;
      readonly pages: number;
      readonly differing: number;
    }
  | {
      readonly event: "uploaded";
      readonly txid: string;
      readonly bytes: number;
      readonly ms: number;
    }
  | {
      readonly event: "store-unavailable";
      readonly message: string;
      readonly retry_ms: number;
      readonly waiting: number;
    }
  | {
      /** Nothing is staged until there is room again; commits stay in the log. */
      readonly event: "disk-full";
      readonly message: string;
      readonly retry_ms: number;
    }
  | {
      /** There is room again. */
      readonly event: "resumed";
      readonly paused_ms: number;
    }
  | {
      /** The store's position was taken up; the next file holds the whole database. */
      readonly event: "adopted";
      /** Newest TXID in the store; null when it is empty. */
      readonly txid: string | null;
      readonly reason: string;
    }
  | {
      readonly event: "checkpointed";
      readonly log_frames: number;
      readonly checkpointed_frames: number;
      /** For so long nobody could commit. */
      readonly ms: number;
    }
  | {
      readonly event: "compacted";
      readonly level: number;
      readonly min_txid: string;
      readonly max_txid: string;
      /** Files of the level below that were merged. */
      readonly files: number;
      readonly bytes: number;
    }
  | {
      /** The level is tried again when its time comes. */
      readonly event: "compaction-failed";
      readonly level: number;
      readonly message: string;
    }
  | {
      /** The whole database is in level 9. */
      readonly event: "snapshot-written";
      readonly txid: string;
      readonly bytes: number;
    }
  | {
      readonly event: "snapshot-failed";
      readonly message: string;
      readonly retry_ms: number;
    }
  | {
      /** Level 0 was looked at, its oldest thousand files at a time. */
      readonly event: "retention-checked";
      /** Files that may go now. */
      readonly eligible: number;
      /** Files that level 1 does not hold yet. */
      readonly not_compacted: number;
      /** Files that it does, and that are kept all the same for now. */
      readonly too_recent: number;
    }
  | {
      /** Nothing needs these files any more. */
      readonly event: "retention-deleted";
      readonly files: number;
      readonly bytes: number;
    }
  | {
      /** The store does not allow it: all files stay. Said once. */
      readonly event: "retention-refused";
      readonly message: string;
    }
  | {
      /** It is tried again later. */
      readonly event: "retention-failed";
      readonly message: string;
    }
  | {
      readonly event: "stopped";
      /** Newest TXID that is staged. */
      readonly txid: string | null;
      /** Newest TXID in the store. */
      readonly uploaded_txid: string | null;
      readonly waiting: number;
    };

export function checkpointedEvent(
  done: CheckpointResult & { readonly ms: number },
): ReplicationEvent {
  const ms = Math.round(done.ms * 10) / 10;
  const { logFrames: log_frames, checkpointedFrames: checkpointed_frames } = done;
  return { event: "checkpointed", log_frames, checkpointed_frames, ms };
}

/** `uploaded` is the newest TXID in the store. */
export function startedEvent(
  { path, wasSwitchedToWal }: SourceDatabase,
  uploaded: Txid | undefined,
  isResumed: boolean,
): ReplicationEvent {
  const switched = { switched_to_wal: wasSwitchedToWal, resumed: isResumed };
  return { event: "started", db: path, txid: nameOf(uploaded), ...switched };
}

export function stagedEvent({
  txid,
  sizeBytes,
  pageCount,
  imageReason,
}: StagedFile): ReplicationEvent {
  const file = { txid: formatTxid(txid), bytes: sizeBytes, pages: pageCount };
  return { event: "staged", ...file, image: imageReason ?? null };
}

export function stoppedEvent({ txid, uploaded, waiting }: ReplicationState): ReplicationEvent {
  return { event: "stopped", txid: nameOf(txid), uploaded_txid: nameOf(uploaded), waiting };
}

function nameOf(txid: Txid | undefined): string | null {
  return txid === undefined ? null : formatTxid(txid);
}
