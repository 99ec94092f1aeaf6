import { formatTxid, parseTxid, type Txid } from "./txid.ts";

/** The transactions that one LTX file holds, both ends included. */
export interface TxidRange {
  readonly minTxid: Txid;
  readonly maxTxid: Txid;
}

const FILE_NAME = /^([0-9a-f]{16})-([0-9a-f]{16})\.ltx$/;

/** Reads the TXIDs in an LTX file's name. Undefined when `name` is not one. */
export function parseLtxFileName(name: string): TxidRange | undefined {
  const [, min = "", max = ""] = FILE_NAME.exec(name) ?? [];
  const minTxid = parseTxid(min);
  const maxTxid = parseTxid(max);
  if (minTxid === undefined || maxTxid === undefined || minTxid > maxTxid) return undefined;
  return { minTxid, maxTxid };
}

/** Names the LTX file that holds the transactions of `range`. */
export function formatLtxFileName({ minTxid, maxTxid }: TxidRange): string {
  return `${formatTxid(minTxid)}-${formatTxid(maxTxid)}.ltx`;
}
