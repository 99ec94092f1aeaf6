import type { Txid } from "../../shared/ltx/txid.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import {
  parseStatus,
  statusKey,
  type StatusDocument,
} from "../../shared/replica/status-document.ts";
import { newestRemote } from "../sync/reconcile.ts";

/** Where a replica stands against what is staged. */
export interface ReplicaStatus {
  /** The newest TXID in the store. */
  readonly txid: Txid | undefined;
  /** When its file was made, milliseconds since the epoch. */
  readonly atMs: number | undefined;
  /** TXIDs that are staged and not in the store. */
  readonly waiting: number;
  /** How old the newest in the store is while others wait; 0 when none waits. In milliseconds. */
  readonly lagMs: number;
  /** What its writer said of itself last, where it says anything. */
  readonly writer: StatusDocument | undefined;
}

export interface ReplicaStatusOptions {
  /** The newest TXID that is staged. */
  readonly local: Txid | undefined;
  readonly nowMs: number;
  readonly signal: AbortSignal;
}

/** Asks a store how far it is; usually two requests. */
export async function readReplicaStatus(
  replica: Replica,
  { local, nowMs, signal }: ReplicaStatusOptions,
): Promise<ReplicaStatus> {
  const newest = await newestRemote(replica, local, signal);
  const waiting = Math.max(0, Number((local ?? 0n) - (newest?.maxTxid ?? 0n)));
  const atMs = newest?.createdAtMs;
  const lagMs = waiting === 0 || atMs === undefined ? 0 : Math.max(0, nowMs - atMs);
  const said = await replica.store.get(statusKey(replica), { signal });
  const writer = said && parseStatus(said.bytes);
  return { writer, txid: newest?.maxTxid, atMs, waiting, lagMs };
}
