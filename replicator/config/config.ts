/** What a configuration file comes down to. Durations are in milliseconds, paths absolute. */

import type { PageCodec } from "../../shared/ltx/page-frame.ts";

/** Where a database's LTX files go. */
export interface ReplicaConfig {
  /** With its parameters and without credentials, so that it may be shown. */
  readonly url: string;
  /** Litestream's word for the kind of store. */
  readonly kind: "s3" | "file";
  /** A `path` that stands beside a `bucket`: Litestream takes it as it is, and does not clean it as a URL's. */
  readonly keyPath: string | undefined;
  /** The replica's own credentials; what is not here comes from the environment. */
  readonly accessKeyId: string | undefined;
  readonly secretAccessKey: string | undefined;
}

/** How one database is replicated; what is undefined has the replicator's default. */
export interface DatabaseSettings {
  readonly syncIntervalMs: number | undefined;
  /** From level 1 on. */
  readonly levelIntervalsMs: readonly number[] | undefined;
  readonly snapshotIntervalMs: number | undefined;
  readonly snapshotRetentionMs: number | undefined;
  readonly l0RetentionMs: number | undefined;
  readonly retentionEnabled: boolean | undefined;
  /** How pages are compressed. */
  readonly codec: PageCodec | undefined;
  /** How often `eddy/status.json` is rewritten; undefined: never. */
  readonly statusIntervalMs: number | undefined;
  /** False: nothing but the operator keeps two writers apart. */
  readonly lease: boolean | undefined;
  /** False: no edge bundle is kept beside the LTX files. */
  readonly edgeBundle: boolean | undefined;
  /** A database that is not there is restored from its replica before it is replicated. */
  readonly restoreIfMissing: boolean;
}

export interface DatabaseConfig extends DatabaseSettings {
  readonly path: string;
  readonly replica: ReplicaConfig;
  /** Where staged files are kept; beside the database when undefined. */
  readonly stagingFolder: string | undefined;
}

/** A folder whose databases are replicated, each below the replica's path. */
export interface FolderConfig extends DatabaseSettings {
  readonly folder: string;
  /** Of file names, as Go's `filepath.Match` reads it. */
  readonly pattern: string;
  readonly recursive: boolean;
  /** Databases that appear later are replicated too. */
  readonly watch: boolean;
  readonly replica: ReplicaConfig;
  /** `meta-dir` or `meta-path`: below it each database has its staging directory. */
  readonly staging:
    | { readonly kind: "meta-dir" | "meta-path"; readonly folder: string }
    | undefined;
}

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error"] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LoggingConfig {
  readonly level: LogLevel | undefined;
  readonly type: "text" | "json" | undefined;
  /** False: to stdout, as the file says. Undefined: to stderr. */
  readonly stderr: boolean | undefined;
}

/** The control socket. */
export interface SocketConfig {
  readonly isEnabled: boolean;
  readonly path: string;
  /** Permission bits of the socket's file. */
  readonly permissions: number;
}

export interface HeartbeatConfig {
  readonly url: string;
  readonly intervalMs: number;
}

export interface Config {
  readonly databases: readonly DatabaseConfig[];
  readonly folders: readonly FolderConfig[];
  /** For databases that are registered while the replicator runs. */
  readonly defaults: DatabaseSettings;
  readonly logging: LoggingConfig;
  /** Where the metrics are served, such as `:9090`. */
  readonly metricsAddress: string | undefined;
  readonly socket: SocketConfig;
  readonly heartbeat: HeartbeatConfig | undefined;
  /** A command that is run as long as the replicator, and ends it. */
  readonly exec: string | undefined;
  /** What whoever wrote the file should know: settings without effect, variables that are not set. */
  readonly notices: readonly string[];
}

/** What holds where nothing is configured. */
export const UNCONFIGURED: Config = {
  databases: [],
  folders: [],
  defaults: {
    syncIntervalMs: undefined,
    levelIntervalsMs: undefined,
    snapshotIntervalMs: undefined,
    snapshotRetentionMs: undefined,
    l0RetentionMs: undefined,
    retentionEnabled: undefined,
    codec: undefined,
    statusIntervalMs: undefined,
    lease: undefined,
    edgeBundle: undefined,
    restoreIfMissing: false,
  },
  logging: { level: undefined, type: undefined, stderr: undefined },
  metricsAddress: undefined,
  socket: { isEnabled: false, path: "/var/run/litestream.sock", permissions: 0o600 },
  heartbeat: undefined,
  exec: undefined,
  notices: [],
};
