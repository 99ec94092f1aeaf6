/** Replicas for tests in workerd, in the R2 binding. */
import { toTxid } from "../../../shared/ltx/txid.ts";
import { formatLtxKey } from "../../../shared/replica/ltx-key.ts";
import { ltxBetween, stampMs, type Images } from "../ltx-from-images.ts";

declare module "vitest" {
  interface ProvidedContext {
    readonly shop: Images;
    readonly orders: Images;
    readonly ledger: Images;
    readonly modules: Images;
    readonly utf16: Images;
  }
}

export interface LtxPlace {
  /** Path of the replica in the bucket. */
  readonly path: string;
  readonly level: number;
  readonly minTxid: number;
  readonly maxTxid: number;
}

/** Puts one level-0 file for each transaction, as the replicator does. Answers the keys. */
export async function putReplica(
  bucket: R2Bucket,
  path: string,
  images: Images,
  through = images.versions.length,
): Promise<string[]> {
  const keys: string[] = [];
  for (let txid = 1; txid <= through; txid++) {
    keys.push(await putLtx(bucket, images, { path, level: 0, minTxid: txid, maxTxid: txid }));
  }
  return keys;
}

/** Puts the LTX file that takes the database from `minTxid - 1` to `maxTxid`. Answers its key. */
export async function putLtx(bucket: R2Bucket, images: Images, place: LtxPlace): Promise<string> {
  const { path, level, minTxid, maxTxid } = place;
  const range = { minTxid: toTxid(BigInt(minTxid)), maxTxid: toTxid(BigInt(maxTxid)) };
  const key = formatLtxKey({ path, layout: "s3" }, { level, ...range });
  const timestamp = new Date(stampMs(maxTxid)).toISOString();
  await bucket.put(key, ltxBetween(images, minTxid, maxTxid), {
    customMetadata: { "litestream-timestamp": timestamp },
  });
  return key;
}
