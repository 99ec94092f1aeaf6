import { L0_RETENTION_MS, SNAPSHOT_RETENTION_MS } from "../compaction/retention.ts";
import type { ReplicationOptions } from "../sync/replication-options.ts";
import type { Retention } from "../../shared/replica/status-document.ts";
import type { DatabaseConfig } from "./config.ts";

type Configured = Omit<ReplicationOptions, "replica" | "onEvent" | "now">;

/** What a database's configuration says to its replication. The one place where a setting gets its effect. */
export function replicationOptionsOf(config: DatabaseConfig): Configured {
  return {
    databasePath: config.path,
    stagingFolder: config.stagingFolder,
    syncIntervalMs: config.syncIntervalMs,
    levelIntervalsMs: config.levelIntervalsMs,
    snapshotIntervalMs: config.snapshotIntervalMs,
    snapshotRetentionMs: config.snapshotRetentionMs,
    l0RetentionMs: config.l0RetentionMs,
    retentionEnabled: config.retentionEnabled,
    codec: config.codec,
    lease: config.lease,
    edgeBundle: config.edgeBundle ?? true,
  };
}

/** What retention promises to whoever reads the replica. */
export function promisedRetention({
  l0RetentionMs = L0_RETENTION_MS,
  snapshotRetentionMs = SNAPSHOT_RETENTION_MS,
  retentionEnabled = true,
}: DatabaseConfig): Retention {
  const isForEver = !retentionEnabled || l0RetentionMs === 0;
  return {
    l0Seconds: isForEver ? undefined : l0RetentionMs / 1_000,
    snapshotSeconds: isForEver ? undefined : snapshotRetentionMs / 1_000,
  };
}
