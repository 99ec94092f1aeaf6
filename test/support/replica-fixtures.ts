/** Listings and replicas for tests: an LTX file as a listing shows it, and one in a store in memory. */
import { toTxid, type Txid } from "../../shared/ltx/txid.ts";
import type { LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import { formatLtxKey, type LtxKey, type Replica } from "../../shared/replica/ltx-key.ts";
import type { MemoryStore } from "../../shared/storage/memory-store.ts";
import type { Etag, ObjectStore } from "../../shared/storage/object-store.ts";
import { ltxFile, type LtxFixture } from "./ltx-fixtures.ts";

/** A TXID from a plain number. */
export function txid(value: number): Txid {
  return toTxid(BigInt(value));
}

/** One file of a listing: level, first and last TXID, stamp in milliseconds. */
export function L(level: number, min: number, max: number, createdAtMs: number): LtxFileInfo {
  const range = { minTxid: txid(min), maxTxid: txid(max) };
  const key = formatLtxKey({ path: "db", layout: "s3" }, { level, ...range });
  return {
    level,
    ...range,
    key,
    createdAtMs,
    isStamped: true,
    sizeBytes: 100,
    etag: `of ${key}` as Etag,
  };
}

/** A file as the contract's examples write it: `L1[51-60]`, and `L0[51]` for one TXID. */
export function nameOf({ level, minTxid, maxTxid }: LtxKey): string {
  return `L${level}[${minTxid === maxTxid ? minTxid : `${minTxid}-${maxTxid}`}]`;
}

/** A replica at `db`, in a bucket's layout. */
export function replicaIn(store: ObjectStore, path = "db"): Replica {
  return { store, path, layout: "s3" };
}

export interface StoredLtx extends LtxFixture {
  readonly level: number;
}

/** Puts an LTX file under its key, with the metadata that Litestream gives it. Returns the key. */
export async function putLtx(
  store: MemoryStore | ObjectStore,
  { level, ...fixture }: StoredLtx,
  path = "db",
): Promise<string> {
  const { minTxid = 1, maxTxid = minTxid, timestampMs = minTxid * 1_000 } = fixture;
  const range = { minTxid: txid(minTxid), maxTxid: txid(maxTxid) };
  const key = formatLtxKey({ path, layout: "s3" }, { level, ...range });
  const metadata = { "litestream-timestamp": new Date(timestampMs).toISOString() };
  await store.put(key, ltxFile({ ...fixture, timestampMs }), { metadata });
  return key;
}
