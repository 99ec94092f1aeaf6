/** LTX files of a database's history, as a replica holds them. */
import { formatLtxKey, type Replica } from "../../shared/replica/ltx-key.ts";
import { ltxBetween, stampMs, type Images } from "./ltx-from-images.ts";
import { txid } from "./replica-fixtures.ts";

/** One LTX file: its level, and the transactions that it covers. */
export type FileSpan = readonly [level: number, min: number, max: number];

/** Files that were made once, by images and transactions. */
const made = new WeakMap<Images, Map<string, Uint8Array>>();

function ltxOf(images: Images, min: number, max: number): Uint8Array {
  const files = made.get(images) ?? new Map<string, Uint8Array>();
  const file = files.get(`${min}-${max}`) ?? ltxBetween(images, min, max);
  files.set(`${min}-${max}`, file);
  made.set(images, files);
  return file;
}

/** Puts files of a database's history into a replica. */
export async function putSpans(
  replica: Replica,
  images: Images,
  spans: readonly FileSpan[],
): Promise<void> {
  for (const [level, min, max] of spans) {
    const key = formatLtxKey(replica, { level, minTxid: txid(min), maxTxid: txid(max) });
    const metadata = { "litestream-timestamp": new Date(stampMs(max)).toISOString() };
    await replica.store.put(key, ltxOf(images, min, max), { metadata });
  }
}
