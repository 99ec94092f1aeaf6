/** The keys of a configuration file: Litestream's, ours, and those that are refused with a reason. */
import type { KeyTable } from "./yaml-node.ts";

const STORES = "Eddy replicates to S3, R2 and folders";

function refuseAll(names: readonly string[], reason: string): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, reason]));
}

/** Keys of a replica that may also stand at the top, as the default of all replicas. */
const SHARED_REPLICA_KEYS = {
  known: [
    "sync-interval",
    "access-key-id",
    "secret-access-key",
    "region",
    "bucket",
    "endpoint",
    "force-path-style",
    "sign-payload",
    "require-content-md5",
    "skip-verify",
    "storage-class",
    "part-size",
  ],
  ignored: {
    concurrency: "large files always go up in two parts at a time",
    "max-sync-ltx-files": "files are uploaded one after the other, as they come",
    "auto-recover":
      "a staging directory that does not fit the replica is always recovered, with a full image",
    "validation-interval": "Litestream reads it and does not use it either",
  },
  refused: {
    age: "nothing would be encrypted (Litestream 0.5 cannot either); set the bucket's own encryption",
    ...refuseAll(
      ["sse-customer-algorithm", "sse-customer-key", "sse-customer-key-path"],
      "Eddy does not encrypt with keys of the customer",
    ),
    "sse-kms-key-id": "set the bucket's default encryption to this key instead",
    ...refuseAll(
      ["account-name", "account-key", "sas-token"],
      `it belongs to Litestream's Azure store (abs); ${STORES}`,
    ),
    ...refuseAll(
      ["host", "user", "password", "key-path", "host-key", "concurrent-writes"],
      `it belongs to Litestream's SFTP store (sftp); ${STORES}`,
    ),
    ...refuseAll(
      ["webdav-url", "webdav-username", "webdav-password"],
      `it belongs to Litestream's WebDAV store; ${STORES}`,
    ),
    ...refuseAll(
      [
        "jwt",
        "seed",
        "creds",
        "nkey",
        "username",
        "token",
        "tls",
        "root-cas",
        "client-cert",
        "client-key",
        "max-reconnects",
        "reconnect-wait",
        "timeout",
      ],
      `it belongs to Litestream's NATS store (nats); ${STORES}`,
    ),
  },
} as const satisfies KeyTable;

/** Litestream 0.3 had them in the replica; 0.5 passes them over without a word, and keeps a day. */
const MOVED = {
  retention:
    "it belongs to Litestream 0.3; write `snapshot: { retention: … }` at the database or at the top",
  "snapshot-interval":
    "it belongs to Litestream 0.3; write `snapshot: { interval: … }` at the database or at the top",
  "retention-check-interval": "it belongs to Litestream 0.3; leave it out",
};

export const REPLICA_KEYS: KeyTable = {
  known: ["url", "type", "path", ...SHARED_REPLICA_KEYS.known],
  ignored: { ...SHARED_REPLICA_KEYS.ignored, name: "a database has one replica, which needs none" },
  refused: { ...SHARED_REPLICA_KEYS.refused, ...MOVED },
};

/** Settings that stand at a database, and at the top as the default of all. */
const SETTING_KEYS = [
  "snapshot",
  "levels",
  "l0-retention",
  "retention",
  "lease",
  "edge-bundle",
  "page-codec",
  "status-interval",
];

const DATABASE_IGNORED = {
  "monitor-interval": "commits are noticed when they happen",
  "checkpoint-interval": "the log is checkpointed from 1,000 pages on, and never by the clock",
  "min-checkpoint-page-count": "the log is checkpointed from 1,000 pages on",
  "truncate-page-n": "the log is begun anew after each checkpoint, which keeps it short",
  "busy-timeout": "the application's locks are waited for a second",
  "max-sync-wal-bytes": "a file takes up to 64 MiB of the log",
};

export const DATABASE_KEYS: KeyTable = {
  known: [
    "path",
    "dir",
    "pattern",
    "recursive",
    "watch",
    "meta-path",
    "meta-dir",
    "restore-if-db-not-exists",
    "replica",
    "replicas",
    ...SETTING_KEYS,
  ],
  ignored: DATABASE_IGNORED,
  refused: { "max-checkpoint-page-count": "it belongs to Litestream 0.3; leave it out" },
};

export const TOP_KEYS: KeyTable = {
  known: [
    "dbs",
    "addr",
    "exec",
    "socket",
    "logging",
    "heartbeat-url",
    "heartbeat-interval",
    "verify-compaction",
    ...SETTING_KEYS,
    ...SHARED_REPLICA_KEYS.known,
  ],
  ignored: {
    ...SHARED_REPLICA_KEYS.ignored,
    "l0-retention-check-interval": "retention is looked at whenever a level has been written",
    validation:
      "levels are checked for gaps whenever they are written; `eddy verify` reads all of it",
    "shutdown-sync-timeout": "what is left at the end is uploaded for 30 seconds",
    "shutdown-sync-interval": "what is left at the end is tried again with growing pauses",
  },
  refused: {
    ...SHARED_REPLICA_KEYS.refused,
    "mcp-addr": "Eddy has no MCP server; its Worker answers questions over HTTP",
  },
};

/** Types of replicas that Litestream has and Eddy has not. */
export const FOREIGN_TYPES = ["gs", "gcs", "abs", "sftp", "webdav", "webdavs", "nats", "oss"];
