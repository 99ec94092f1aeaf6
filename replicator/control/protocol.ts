/** What goes over the control socket: Litestream's JSON, so that its client and ours may be mixed. */
import type { DatabaseStatus } from "./controlled-database.ts";

/** Where Litestream's socket is unless it is told otherwise. */
export const DEFAULT_SOCKET_PATH = "/var/run/litestream.sock";

/** TXIDs are decimal numbers here; 0 stands for none. */
export interface SyncReply {
  /** `synced_local`: staged, and not asked to wait for the store. */
  readonly status: "synced" | "synced_local" | "no_change";
  readonly path: string;
  readonly txid: number;
  /** The newest TXID in the store. */
  readonly replicated_txid: number;
}

/** The answer to `start`, `stop` and `unregister`. */
export interface ChangeReply {
  readonly status: string;
  readonly path: string;
  readonly txid: number;
}

export interface RegisterReply {
  readonly status: "registered" | "already_registered";
  readonly path: string;
}

export interface ListReply {
  readonly databases: readonly ListedDatabase[];
}

export interface ListedDatabase {
  readonly path: string;
  readonly status: DatabaseStatus;
  /** RFC 3339; absent when nothing was found in the store yet. */
  readonly last_sync_at?: string;
  /** Ours: why it is stopped, when an error stopped it. */
  readonly error?: string;
}

export interface InfoReply {
  readonly version: string;
  readonly pid: number;
  readonly uptime_seconds: number;
  /** RFC 3339. */
  readonly started_at: string;
  readonly database_count: number;
}

/** What is answered with a status from 400 on. */
export interface ErrorReply {
  readonly error: string;
  readonly details?: string;
  /** Ours: an `ErrorCode`. */
  readonly code?: string;
}
