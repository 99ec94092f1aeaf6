import { ReplicaError } from "../errors.ts";

declare const txidBrand: unique symbol;

/** A transaction ID, 1 to 2^64 − 1: one committed batch of a database's history. */
export type Txid = bigint & { readonly [txidBrand]: true };

const TXID_MAX = 0xffff_ffff_ffff_ffffn;
const TXID_TEXT = /^[0-9a-f]{16}$/;

/**
 * Brands `value` as a TXID.
 *
 * @throws {ReplicaError} `BAD_REF` when it is not within 1 to 2^64 − 1.
 */
export function toTxid(value: bigint): Txid {
  if (value < 1n || value > TXID_MAX) {
    throw new ReplicaError("BAD_REF", `${value} is not a TXID: they run from 1 to 2^64 - 1`);
  }
  return value as Txid;
}

/** Reads the 16 lower-case hex digits of a file name. Undefined when `text` is anything else. */
export function parseTxid(text: string): Txid | undefined {
  if (!TXID_TEXT.test(text)) return undefined;
  const value = BigInt(`0x${text}`);
  return value === 0n ? undefined : (value as Txid);
}

/** Writes a TXID as 16 lower-case hex digits, so that names sort as numbers do. */
export function formatTxid(txid: Txid): string {
  return txid.toString(16).padStart(16, "0");
}

/** The TXID that follows `txid`; of none, the first. */
export function nextTxid(txid: Txid | undefined): Txid {
  return toTxid((txid ?? 0n) + 1n);
}
