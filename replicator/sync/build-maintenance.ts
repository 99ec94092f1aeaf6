import { ReplicaError } from "../../shared/errors.ts";
import type { PageCodec } from "../../shared/ltx/page-frame.ts";
import { formatTxid } from "../../shared/ltx/txid.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { Ladder } from "../compaction/ladder.ts";
import { Maintenance } from "../compaction/maintenance.ts";
import type { RetainedFile } from "../compaction/plan-retention.ts";
import { Retention } from "../compaction/retention.ts";
import { Snapshots } from "../compaction/snapshots.ts";
import type { ReplicationEvent } from "./events.ts";
import type { Lease } from "./lease.ts";
import { openSnapshot, type SnapshotParts } from "./open-snapshot.ts";
import type { Staging } from "./staging.ts";
import { underLease } from "./under-lease.ts";
import type { Uploader } from "./uploader.ts";

/** Times in milliseconds; the defaults are Litestream's. */
export interface MaintenanceOptions {
  readonly replica: Replica;
  /** How pages are compressed: `frame` for readers older than Litestream 0.5.16; `block` by default. */
  readonly codec?: PageCodec | undefined;
  /** How often the levels from 1 on are written; none: only level 0 and snapshots are. */
  readonly levelIntervalsMs?: readonly number[] | undefined;
  /** A snapshot is written when the newest is so old, and there is something newer. */
  readonly snapshotIntervalMs?: number | undefined;
  /** So far back the moments can be restored that levels 1 and up tell apart. */
  readonly snapshotRetentionMs?: number | undefined;
  /** So far back every TXID can be restored. 0 and `Infinity` keep everything at every level. */
  readonly l0RetentionMs?: number | undefined;
  /** So much lies between two looks at what may be deleted at least. */
  readonly retentionCheckIntervalMs?: number | undefined;
  /** False: nothing is ever deleted from the store. */
  readonly retentionEnabled?: boolean | undefined;
}

interface Context extends MaintenanceOptions {
  /** Without it nothing above level 0 is written, and nothing deleted; undefined where it is switched off. */
  readonly lease?: Lease | undefined;
  readonly onEvent: (event: ReplicationEvent) => void;
  readonly now: () => number;
}

/** Levels, snapshots and retention of one replication: what they do is told as its events. */
export function buildMaintenance({ lease, ...options }: Context, staging: Staging) {
  const context = { ...options, replica: underLease(options.replica, lease) };
  return (parts: SnapshotParts & { readonly uploader: Uploader }): Maintenance => {
    const retention = context.retentionEnabled === false ? undefined : buildRetention(context);
    const snapshots = buildSnapshots(context, staging, retention, parts);
    const ladder = buildLadder(context, staging, retention, snapshots);
    return new Maintenance({ ladder, snapshots, retention, now: context.now });
  };
}

function buildRetention({ replica, onEvent, now, ...options }: Context): Retention {
  const { l0RetentionMs, snapshotRetentionMs, retentionCheckIntervalMs } = options;
  return new Retention({
    replica,
    l0RetentionMs: l0RetentionMs === 0 ? Number.POSITIVE_INFINITY : l0RetentionMs,
    snapshotRetentionMs,
    checkIntervalMs: retentionCheckIntervalMs,
    now,
    onLooked: ({ eligible, notCompacted, tooRecent }) => {
      const counts = { eligible, not_compacted: notCompacted, too_recent: tooRecent };
      onEvent({ event: "retention-checked", ...counts });
    },
    onDeleted: (files) => {
      if (files.length === 0) return;
      onEvent({ event: "retention-deleted", files: files.length, bytes: bytesOf(files) });
    },
    onLeft: (files) =>
      onEvent({
        event: "retention-failed",
        message: `the store said that ${files.length} files were deleted, and still lists them, the first "${files[0]?.key ?? ""}"`,
      }),
    onRefused: ({ message }) => onEvent({ event: "retention-refused", message }),
    onFailed: ({ message }) => onEvent({ event: "retention-failed", message }),
  });
}

function bytesOf(files: readonly RetainedFile[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function buildSnapshots(
  { replica, onEvent, now, snapshotIntervalMs }: Context,
  staging: Staging,
  retention: Retention | undefined,
  { uploader, ...parts }: SnapshotParts & { readonly uploader: Uploader },
): Snapshots {
  return new Snapshots({
    replica,
    folder: staging.workFolder,
    intervalMs: snapshotIntervalMs,
    now,
    open: (signal) => openSnapshot(parts, signal),
    whenUploaded: async (txid, signal) => {
      if (await uploader.whenUploaded(txid, signal)) return;
      throw new ReplicaError("LOCAL_FILE", "what it was of was replaced before it was uploaded");
    },
    onWritten: (file) => {
      const { maxTxid, sizeBytes } = file;
      onEvent({ event: "snapshot-written", txid: formatTxid(maxTxid), bytes: sizeBytes });
      retention?.written(file);
    },
    onFailed: ({ message }, retryMs) =>
      onEvent({ event: "snapshot-failed", message, retry_ms: retryMs }),
  });
}

function buildLadder(
  { replica, onEvent, now, levelIntervalsMs, codec }: Context,
  staging: Staging,
  retention: Retention | undefined,
  snapshots: Snapshots,
): Ladder {
  return new Ladder({
    replica,
    folder: staging.workFolder,
    localPath: ({ level, minTxid }) => (level === 0 ? staging.pathOf(minTxid) : undefined),
    intervalsMs: levelIntervalsMs,
    codec,
    now,
    onCompacted: (file, sources) => {
      const { level, minTxid, maxTxid, sizeBytes } = file;
      onEvent({
        event: "compacted",
        level,
        min_txid: formatTxid(minTxid),
        max_txid: formatTxid(maxTxid),
        files: sources,
        bytes: sizeBytes,
      });
      retention?.written(file);
    },
    onFailed: (level, { message }) => onEvent({ event: "compaction-failed", level, message }),
    onGap: (level, { after, before }) => {
      const from = after === undefined ? "0" : formatTxid(after);
      const message = `no file holds what lies between TXID ${from} and ${formatTxid(before)}: a snapshot is written, and the level goes on behind it`;
      onEvent({ event: "compaction-failed", level, message });
      snapshots.need();
    },
  });
}
