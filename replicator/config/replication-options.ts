import type { ReplicationOptions } from "../sync/replication-options.ts";
import type { DatabaseConfig } from "./config.ts";

type Configured = Omit<ReplicationOptions, "replica" | "onEvent" | "now">;

/** What a database's configuration says to its replication. The one place where a setting gets its effect. */
export function replicationOptionsOf(config: DatabaseConfig): Configured {
  return {
    databasePath: config.path,
    stagingFolder: config.stagingFolder,
    syncIntervalMs: config.syncIntervalMs,
    levelIntervalsMs: config.levelIntervalsMs,
    lease: config.lease,
  };
}
