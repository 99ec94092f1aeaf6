import { basename } from "node:path";
import { Registry } from "prom-client";
import { parseInstant } from "../../shared/instant.ts";
import { formatReplicaPrefix, parseLtxKey, type Replica } from "../../shared/replica/ltx-key.ts";
import type { ControlledDatabase } from "../control/controlled-database.ts";
import type { ReplicationEvent } from "../sync/events.ts";
import { addDatabaseGauges } from "./database-gauges.ts";
import { meteredStore, type StoreOperation } from "./metered-store.ts";
import { addProcessMetrics } from "./process-metrics.ts";
import { createSeries, type Series } from "./series.ts";

/** The mode of all our checkpoints. */
const CHECKPOINT_MODE = "PASSIVE";
/** What retention makes of a file at level 0: Litestream's words. */
const LEVEL0_STATUSES = ["eligible", "not_compacted", "too_recent"] as const;
type Level0Status = (typeof LEVEL0_STATUSES)[number];

export interface MetricsOptions {
  /** Those that are replicated when somebody asks. */
  readonly databases: () => readonly ControlledDatabase[];
  /** A clock that never steps, in milliseconds. */
  readonly now: () => number;
}

/** Counts what a replicator does, under Litestream's names where it has one, in Prometheus' format. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #now: () => number;
  readonly #series: Series;
  /** When each file that is on its way was staged, by database and TXID. */
  readonly #stagedAtMs = new Map<string, Map<string, number>>();

  constructor({ databases, now }: MetricsOptions) {
    this.#now = now;
    this.#series = createSeries(this.#registry);
    addDatabaseGauges(this.#registry, databases);
    addProcessMetrics(this.#registry);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All of it, as `/metrics` answers it. */
  async text(): Promise<string> {
    return await this.#registry.metrics();
  }

  /** Takes note of what happened to the database at the path `db`. */
  observe(event: ReplicationEvent, db: string): void {
    const series = this.#series;
    switch (event.event) {
      case "started":
        this.#begin(db);
        return;
      case "staged":
        series.syncCount.inc({ db });
        series.totalWalBytes.inc({ db }, event.bytes);
        if (event.image !== null) series.images.inc({ db });
        this.#stagedOf(db).set(event.txid, this.#now());
        return;
      case "uploaded":
        series.syncSeconds.inc({ db }, event.ms / 1_000);
        this.#arrived(db, event.txid);
        return;
      case "store-unavailable":
        series.syncErrors.inc({ db });
        return;
      case "checkpointed":
        series.checkpoints.inc({ db, mode: CHECKPOINT_MODE });
        series.checkpointSeconds.inc({ db, mode: CHECKPOINT_MODE }, event.ms / 1_000);
        return;
      case "compaction-failed":
        series.compactionErrors.inc({ db });
        return;
      case "retention-checked":
        this.#countLevel0(db, event);
        return;
      case "stopped":
        this.#stagedAtMs.delete(db);
        return;
      default:
        this.#observeDisk(event.event, db);
    }
  }

  /** The replica of the database at `db`, with all that is asked of its store counted. */
  meter(replica: Replica, db: string): Replica {
    // Litestream's names for the kinds of store.
    const type = replica.layout === "s3" ? "s3" : "file";
    const onOperation = (operation: StoreOperation) => {
      this.#countOperation(operation, db, type);
      const { put, errorCode } = operation;
      if (put && errorCode === undefined) this.#countStored(replica, put, db);
    };
    return { ...replica, store: meteredStore(replica.store, { onOperation, now: this.#now }) };
  }

  #observeDisk(event: string, db: string): void {
    if (event === "disk-full") this.#series.diskFull.set({ db }, 1);
    if (event === "resumed") this.#series.diskFull.set({ db }, 0);
  }

  /** As Litestream, which tells databases apart by their file's name alone here. */
  #countLevel0(db: string, counts: Readonly<Record<Level0Status, number>>): void {
    for (const status of LEVEL0_STATUSES) {
      this.#series.level0Files.set({ db: basename(db), status }, counts[status]);
    }
  }

  #countOperation(operation: StoreOperation, db: string, type: string): void {
    const { kind, bytes, durationMs, errorCode } = operation;
    const labels = { replica_type: type, operation: kind.toUpperCase() };
    this.#series.operations.inc(labels);
    this.#series.operationBytes.inc(labels, bytes);
    this.#series.operationSeconds.observe(labels, durationMs / 1_000);
    if (errorCode !== undefined) this.#series.operationErrors.inc({ ...labels, code: errorCode });
    this.#series.storeOperations.inc({ db, class: kind });
  }

  #countStored(replica: Replica, { key, body }: StoreOperation["put"] & {}, db: string): void {
    const level = parseLtxKey(replica, key)?.level;
    if (level !== undefined) this.#series.ltxFiles.inc({ db, level });
    if (key !== `${formatReplicaPrefix(replica)}lock.json`) return;
    const expiresAtMs = body instanceof Uint8Array ? leaseEndOf(body) : undefined;
    if (expiresAtMs !== undefined) this.#series.leaseExpires.set({ db }, expiresAtMs / 1_000);
  }

  /** Shows at 0 what has not happened yet, so that its first time is seen as a rise. */
  #begin(db: string): void {
    const { syncCount, syncErrors, syncSeconds, totalWalBytes, images } = this.#series;
    for (const counter of [syncCount, syncErrors, syncSeconds, totalWalBytes, images]) {
      counter.inc({ db }, 0);
    }
    this.#series.compactionErrors.inc({ db }, 0);
    this.#series.checkpoints.inc({ db, mode: CHECKPOINT_MODE }, 0);
    this.#series.checkpointSeconds.inc({ db, mode: CHECKPOINT_MODE }, 0);
    this.#series.checkpointErrors.inc({ db, mode: CHECKPOINT_MODE }, 0);
    this.#series.diskFull.set({ db }, 0);
    this.#countLevel0(db, { eligible: 0, not_compacted: 0, too_recent: 0 });
    this.#stagedAtMs.delete(db);
  }

  #arrived(db: string, txid: string): void {
    const staged = this.#stagedOf(db);
    const stagedAtMs = staged.get(txid);
    // What an earlier run staged has no beginning that this clock knows.
    if (stagedAtMs === undefined) return;
    staged.delete(txid);
    this.#series.commitToStore.observe({ db }, (this.#now() - stagedAtMs) / 1_000);
  }

  #stagedOf(db: string): Map<string, number> {
    const staged = this.#stagedAtMs.get(db) ?? new Map<string, number>();
    this.#stagedAtMs.set(db, staged);
    return staged;
  }
}

/** When the lease in `body` ends, in milliseconds since the epoch. */
function leaseEndOf(body: Uint8Array): number | undefined {
  const match = /"expires_at":\s*"([^"]+)"/.exec(new TextDecoder().decode(body));
  return match ? parseInstant(match[1]) : undefined;
}
