/** LTX files for tests, made from the images of a real database: in Node and in workerd. */
import type { LtxPage } from "../../shared/ltx/decoder.ts";
import { encodeLtx } from "../../shared/ltx/encoder.ts";
import { HEADER_FLAG_NO_CHECKSUM, type LtxHeader } from "../../shared/ltx/header.ts";
import { toTxid } from "../../shared/ltx/txid.ts";

/** The database's file after each of its transactions, in base64. */
export interface Images {
  readonly pageSize: number;
  readonly versions: readonly string[];
}

/** Stamp of the first transaction; each further one is a minute later. */
const FIRST_STAMP_MS = Date.UTC(2026, 9, 1, 12);

/** The stamp of transaction `txid`, in milliseconds since the epoch. */
export function stampMs(txid: number): number {
  return FIRST_STAMP_MS + (txid - 1) * 60_000;
}

/** The bytes of the database after transaction `txid`; empty before the first. */
export function imageAt(images: Images, txid: number): Uint8Array {
  const base64 = images.versions[txid - 1];
  if (base64 === undefined) return new Uint8Array();
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/** The LTX file of transactions `minTxid` to `maxTxid`: the pages that differ. */
export function ltxBetween(images: Images, minTxid: number, maxTxid: number): Uint8Array {
  const { pageSize } = images;
  const before = imageAt(images, minTxid - 1);
  const after = imageAt(images, maxTxid);
  const pages: LtxPage[] = [];
  for (let offset = 0; offset < after.length; offset += pageSize) {
    const data = after.slice(offset, offset + pageSize);
    const old = before.subarray(offset, offset + pageSize);
    if (isEqual(data, old)) continue;
    pages.push({ pgno: offset / pageSize + 1, data });
  }
  const header: LtxHeader = {
    flags: HEADER_FLAG_NO_CHECKSUM,
    pageSize,
    commit: after.length / pageSize,
    minTxid: toTxid(BigInt(minTxid)),
    maxTxid: toTxid(BigInt(maxTxid)),
    timestampMs: stampMs(maxTxid),
    preApplyChecksum: 0n,
    walOffset: 32,
    walSize: 0,
    walSalt1: 1,
    walSalt2: 2,
    nodeId: 0n,
  };
  return concat([...encodeLtx(header, pages)]);
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}
