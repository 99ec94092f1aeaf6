/** Programs that read, a TXID in no file, a store that does not answer, or a full disk. */
export type WaitingReason = "readers" | "gap" | "store" | "disk";

/** What a follower tells while it runs; the command line prints it as it is, one JSON value a line. */
export type FollowEvent =
  | { readonly event: "following"; readonly db: string; readonly txid: string }
  | {
      readonly event: "applied";
      /** Where the database is now, 16 hex digits. */
      readonly txid: string;
      readonly files: number;
      readonly pages: number;
      /** Bytes of LTX files that were read. */
      readonly bytes: number;
      /** From when the newest of it was committed, as its file says, until readers see it. */
      readonly lag_ms: number;
    }
  | {
      /** The database stays where it is for now; told once, and again when the reason changes. */
      readonly event: "waiting";
      readonly reason: WaitingReason;
      readonly message: string;
    }
  | { readonly event: "stopped"; readonly txid: string };
