import { Counter, Gauge, Histogram, type Registry } from "prom-client";

/** Litestream's. */
const OPERATION_BUCKETS = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60];
/** From a store nearby to one that was away for a while. */
const COMMIT_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** What is counted as it happens. */
export type Series = ReturnType<typeof createSeries>;

/** Adds them all to `registry`. */
export function createSeries(registry: Registry) {
  return { ...litestreamDatabaseSeries(registry), ...replicaSeries(registry), ...own(registry) };
}

/** Names, labels and help as Litestream has them. */
function litestreamDatabaseSeries(registry: Registry) {
  const counter = counterIn(registry);
  return {
    syncCount: counter("litestream_sync_count", "Number of sync operations performed", ["db"]),
    syncErrors: counter("litestream_sync_error_count", "Number of sync errors that have occurred", [
      "db",
    ]),
    syncSeconds: counter("litestream_sync_seconds", "Time spent storing LTX files, in seconds", [
      "db",
    ]),
    totalWalBytes: counter(
      "litestream_total_wal_bytes",
      "Total number of bytes staged from the log, as LTX",
      ["db"],
    ),
    diskFull: gaugeIn(registry)(
      "litestream_disk_full",
      "Whether replication is paused because the local disk is full",
    ),
    checkpoints: counter("litestream_checkpoint_count", "Number of checkpoint operations", [
      "db",
      "mode",
    ]),
    checkpointSeconds: counter(
      "litestream_checkpoint_seconds",
      "Time spent in checkpoints while nobody could commit, in seconds",
      ["db", "mode"],
    ),
    checkpointErrors: counter(
      "litestream_checkpoint_error_count",
      "Number of checkpoint errors that have occurred",
      ["db", "mode"],
    ),
    level0Files: new Gauge({
      name: "litestream_l0_retention_files_total",
      help: "Number of L0 files by status, when retention looked at them last",
      labelNames: ["db", "status"],
      registers: [registry],
    }),
    compactionErrors: counter(
      "litestream_compaction_verify_error_count",
      "Number of compactions that failed or were not verified",
      ["db"],
    ),
  };
}

function replicaSeries(registry: Registry) {
  const counter = counterIn(registry);
  const labels = ["replica_type", "operation"] as const;
  return {
    operations: counter(
      "litestream_replica_operation_total",
      "The number of replica operations performed",
      labels,
    ),
    operationBytes: counter(
      "litestream_replica_operation_bytes",
      "The number of bytes used by replica operations",
      labels,
    ),
    operationSeconds: new Histogram({
      name: "litestream_replica_operation_duration_seconds",
      help: "Duration of replica operations, in seconds",
      labelNames: labels,
      buckets: OPERATION_BUCKETS,
      registers: [registry],
    }),
    operationErrors: counter(
      "litestream_replica_operation_errors_total",
      "The number of replica operations that failed",
      [...labels, "code"],
    ),
  };
}

function own(registry: Registry) {
  const counter = counterIn(registry);
  return {
    commitToStore: new Histogram({
      name: "eddy_commit_to_store_seconds",
      help: "From when commits were staged until they were safely in the store",
      labelNames: ["db"],
      buckets: COMMIT_BUCKETS,
      registers: [registry],
    }),
    storeOperations: counter("eddy_store_operations_total", "Requests to the store, by class", [
      "db",
      "class",
    ]),
    ltxFiles: counter("eddy_ltx_files_total", "LTX files stored; level 9 holds the snapshots", [
      "db",
      "level",
    ]),
    images: counter("eddy_images_total", "Files at level 0 that hold the whole database", ["db"]),
    leaseExpires: gaugeIn(registry)(
      "eddy_lease_expires_timestamp_seconds",
      "When the lease ends that was written last; in the past once it is released",
    ),
  };
}

function counterIn(registry: Registry) {
  return <T extends string>(name: string, help: string, labelNames: readonly T[]) =>
    new Counter<T>({ name, help, labelNames, registers: [registry] });
}

function gaugeIn(registry: Registry) {
  return (name: string, help: string) =>
    new Gauge({ name, help, labelNames: ["db"], registers: [registry] });
}
