/** What happens while a database is replicated; printed as it stands by `--json`. */
export type ReplicationEvent =
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
      readonly event: "checkpointed";
      readonly log_frames: number;
      readonly checkpointed_frames: number;
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
