/**
 * What a followed database's first page says beyond the replica's: that it has a rollback journal, and,
 * in the place of SQLite's change counter, at which TXID it is. SQLite's readers drop their caches when
 * the counter changes, and we know from it where an interrupted run has ended.
 */
import type { Txid } from "../../shared/ltx/txid.ts";

const ROLLBACK_JOURNAL = 1;
const LOW_BITS = 0xffff_ffffn;

/** The part of page 1 in which it is. */
export const FOLLOWER_HEADER_BYTES = 100;

export interface FollowerState {
  readonly txid: Txid;
  /** Size of the database, in pages. */
  readonly commit: number;
}

/** Writes the state into page 1, in place. */
export function writeFollowerHeader(page: Uint8Array, { txid, commit }: FollowerState): void {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const counter = Number(BigInt.asUintN(32, txid));
  view.setUint8(18, ROLLBACK_JOURNAL);
  view.setUint8(19, ROLLBACK_JOURNAL);
  view.setUint32(24, counter);
  view.setUint32(28, commit);
  // The size above counts only where this repeats the counter.
  view.setUint32(92, counter);
}

/**
 * The TXID at which a database is, given the one that was noted beside it, which is the same or, after
 * an interruption, later. Undefined when something else has written to the database.
 */
export function readFollowerTxid(page: Uint8Array, noted: Txid): Txid | undefined {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const counter = view.getUint32(24);
  if (view.getUint32(92) !== counter || view.getUint8(18) !== ROLLBACK_JOURNAL) return undefined;
  const txid = noted - ((noted - BigInt(counter)) & LOW_BITS);
  return txid > 0n ? (txid as Txid) : undefined;
}
