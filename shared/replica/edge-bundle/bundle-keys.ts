import { formatTxid, type Txid } from "../../ltx/txid.ts";
import { formatReplicaPrefix, type Replica } from "../ltx-key.ts";

/** The key of a replica's head, in both layouts: Litestream passes it over. */
export function formatHeadKey(replica: Pick<Replica, "path" | "layout">): string {
  return `${formatReplicaPrefix(replica)}eddy/head`;
}

/** The prefix of the keys of all bases. */
export function formatBasePrefix(replica: Pick<Replica, "path" | "layout">): string {
  return `${formatReplicaPrefix(replica)}eddy/base-`;
}

/**
 * The key of a base. Beside its TXID it names what it was made of: whoever wipes a path and starts
 * anew repeats the TXIDs.
 */
export function formatBaseKey(
  replica: Pick<Replica, "path" | "layout">,
  { txid, id }: { readonly txid: Txid; readonly id: bigint },
): string {
  return `${formatBasePrefix(replica)}${formatTxid(txid)}-${id.toString(16).padStart(16, "0")}`;
}
