/** What the library and its child process say to each other. */
import type { ErrorCode, ErrorDetails } from "../../shared/errors.ts";
import type { ReplicationEvent } from "../sync/events.ts";

/** Given to the child as its one argument, in JSON; the URL may hold no credentials, so neither does it. */
export interface StartOptions {
  readonly path: string;
  readonly url: string;
  readonly syncIntervalMs: number | undefined;
  readonly lease: boolean | undefined;
}

export type Request =
  | { readonly ask: "upload" | "status"; readonly id: number }
  /** Ship what is left, and end. */
  | { readonly ask: "close" };

/** Where a replication stands; TXIDs are 16 hex digits, undefined while there are none. */
export interface ReplicaStatus {
  /** Newest TXID that is staged on this machine. */
  readonly txid: string | undefined;
  /** Newest TXID in the store. */
  readonly uploadedTxid: string | undefined;
  /** Files that are staged and not in the store. */
  readonly waiting: number;
  /** When all that was committed was last seen to be in the store. */
  readonly lastSyncAt: Date | undefined;
}

export interface FailureMessage {
  readonly code: ErrorCode | undefined;
  readonly message: string;
  readonly details: ErrorDetails;
}

export type Message =
  | { readonly type: "started" }
  /** The replication has ended by this, and the process ends after it. */
  | { readonly type: "failed"; readonly error: FailureMessage }
  | { readonly type: "ended" }
  | { readonly type: "event"; readonly event: ReplicationEvent }
  | { readonly type: "answer"; readonly id: number; readonly txid: string | undefined }
  | { readonly type: "answer"; readonly id: number; readonly status: ReplicaStatus }
  | { readonly type: "answer"; readonly id: number; readonly error: FailureMessage };
