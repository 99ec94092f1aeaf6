import type { Etag } from "../../storage/object-store.ts";
import type { LtxFileInfo } from "../list-ltx-files.ts";
import { formatLtxKey, type Replica } from "../ltx-key.ts";
import type { RestorePlan } from "../restore-plan.ts";
import type { Snapshot } from "../snapshot.ts";
import type { BundleFile, BundleState } from "./bundle-format.ts";
import { formatHeadKey } from "./bundle-keys.ts";
import { BundleLocator } from "./bundle-locator.ts";
import { decodeHead, type HeadContent } from "./head-format.ts";
import type { LocationCache } from "./location-cache.ts";

/** A head that is larger is not read: it would take a Worker's memory. In bytes. */
const HEAD_BYTES_MAX = 8 * 1024 * 1024;

/** A bundle that was found beside a replica, and what can be read through it. */
export interface BundleHead extends BundleState {
  /** The files that lead to the bundle's TXID; locations name them by their index. */
  readonly plan: RestorePlan;
  readonly locator: BundleLocator;
  /** The head's own. */
  readonly etag: Etag;
  readonly sizeBytes: number;
  readonly content: HeadContent;
}

/** A head, or why there is none that can be used: for logs. */
export type BundleReading =
  | { readonly head: BundleHead }
  | { readonly head?: undefined; readonly reason: string };

export interface ReadBundleHeadOptions {
  /** Keeps what is read of the base; one for all bundles of an isolate. */
  readonly cache: LocationCache;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads a replica's bundle with one GET. A bundle is derived: where there is none, or one that is
 * damaged or of another version, everything is there without it.
 *
 * @throws {ReplicaError} What the store throws.
 */
export async function readBundleHead(
  replica: Replica,
  { cache, signal }: ReadBundleHeadOptions,
): Promise<BundleReading> {
  const key = formatHeadKey(replica);
  const range = { offset: 0, length: HEAD_BYTES_MAX };
  const stored = await replica.store.get(key, { range, signal });
  if (!stored) return { reason: `there is no "${key}"` };
  const { bytes, totalBytes, etag } = stored;
  if (totalBytes > HEAD_BYTES_MAX) return { reason: `"${key}" has ${totalBytes} bytes` };
  const reading = decodeHead(bytes);
  if (!reading.content) return { reason: `"${key}" cannot be used: ${reading.reason}` };
  const { content } = reading;
  const files = content.files.map((file) => toFileInfo(replica, file));
  const plan = { files, txid: content.txid, exact: true };
  const locator = new BundleLocator(content, replica, cache);
  return { head: { ...content, content, plan, locator, etag, sizeBytes: totalBytes } };
}

/** The database at the bundle's TXID, read through the bundle. */
export function snapshotOf(replica: Replica, head: BundleHead): Snapshot {
  const { plan, locator, pageSize, commit, txid, timestampMs } = head;
  const { files } = plan;
  const pages = locator;
  return { replica, plan, files, verifiedFrom: 0, pages, pageSize, commit, txid, timestampMs };
}

/** A file of a bundle as a listing would show it. */
export function toFileInfo(
  replica: Pick<Replica, "path" | "layout">,
  { level, minTxid, maxTxid, sizeBytes, timestampMs, etag }: BundleFile,
): LtxFileInfo {
  return {
    level,
    minTxid,
    maxTxid,
    key: formatLtxKey(replica, { level, minTxid, maxTxid }),
    sizeBytes,
    createdAtMs: timestampMs,
    isStamped: true,
    etag,
  };
}
