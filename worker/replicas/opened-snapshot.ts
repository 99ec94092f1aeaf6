import type { Txid } from "../../shared/ltx/txid.ts";
import type { BundleHead } from "../../shared/replica/edge-bundle/read-bundle-head.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import type { RestorePlan } from "../../shared/replica/restore-plan.ts";
import type { Snapshot } from "../../shared/replica/snapshot.ts";
import type { BoundedMap } from "./bounded-map.ts";

/** A database at one transaction, ready to be read. */
export interface OpenedSnapshot {
  readonly snapshot: Snapshot;
  /** Names its content; see `identifyPlan`. */
  readonly identity: string;
  /** When the bucket was asked for the plan, in milliseconds since the epoch. */
  readonly checkedAtMs: number;
}

/** A newest state that a request may begin to read. */
export interface BegunSnapshot {
  readonly opened: OpenedSnapshot;
  /** What it turns out to be, where that is still being found out. */
  readonly settled?: Promise<OpenedSnapshot> | undefined;
}

export interface LookOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface HeadOptions extends LookOptions {
  /** A head that was checked longer ago is checked again. */
  readonly maxStaleMs: number;
}

export interface OpenOptions extends LookOptions {
  readonly checkedAtMs: number;
  readonly bundle?: BundleHead | undefined;
}

/** The plan of an earlier TXID where a file of `plan` ends with it: what comes before leads there. */
export function cutPlan(plan: RestorePlan, txid: Txid): RestorePlan | undefined {
  const end = plan.files.findIndex(({ maxTxid }) => maxTxid === txid);
  return end < 0 ? undefined : { files: plan.files.slice(0, end + 1), txid, exact: true };
}

/** A snapshot that another request has opened, for a request with a store of its own. */
export function readThrough(opened: OpenedSnapshot, replica: Replica): OpenedSnapshot {
  return { ...opened, snapshot: { ...opened.snapshot, replica } };
}

/** Forgets every snapshot of a replica. */
export function forgetSnapshots(
  snapshots: BoundedMap<string, OpenedSnapshot>,
  replica: Replica,
): void {
  const prefix = snapshotKey(replica, "");
  for (const key of snapshots.keys()) {
    if (key.startsWith(prefix)) snapshots.delete(key);
  }
}

/** Under which a snapshot is kept; without a TXID, what the keys of all of a replica begin with. */
export function snapshotKey(replica: Replica, txid: Txid | ""): string {
  return `${replica.path}@${txid}`;
}
