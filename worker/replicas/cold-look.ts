/** How a replica is looked at by an isolate that knows nothing of it, or nothing that still holds. */
import { isReplicaError } from "../../shared/errors.ts";
import type { LocationCache } from "../../shared/replica/edge-bundle/location-cache.ts";
import {
  readBundleHead,
  type BundleHead,
} from "../../shared/replica/edge-bundle/read-bundle-head.ts";
import { formatReplicaPrefix, type Replica } from "../../shared/replica/ltx-key.ts";
import { loadPlan } from "../../shared/replica/load-plan.ts";
import type { Etag, ListPage } from "../../shared/storage/object-store.ts";
import { logDroppedBundle } from "../http/log.ts";
import { checkBundle } from "./check-bundle.ts";
import { withFirstPage } from "./first-page.ts";
import type { Head } from "./follow-head.ts";

export interface BundleOptions {
  /** Keeps where pages lie; one for all bundles of the isolate. */
  readonly locations: LocationCache;
  /** What the store calls a bundle's head that was used and turned out to be of no use. */
  readonly distrusted: Etag | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ColdLookOptions extends BundleOptions {
  readonly nowMs: number;
}

/** What is known when a bundle's head has been read, and what will be. */
export interface ColdLook {
  /** It says how to read the database at its TXID; whether that is the newest is being found out. */
  readonly bundle: BundleHead | undefined;
  /** The newest state, and the way to it from a bundle that holds. */
  readonly head: Promise<Head>;
}

/**
 * Lists the first page of a replica's keys and reads its edge bundle, side by side: whoever has a bundle
 * begins to read pages while the list is on its way, and whoever has none has lost no time. The list is
 * the one that a plan without a bundle begins with, and it is the tail's: level 0 comes first in it.
 */
export async function lookCold(replica: Replica, options: ColdLookOptions): Promise<ColdLook> {
  const { signal } = options;
  const listing = replica.store.list({ prefix: formatReplicaPrefix(replica), signal });
  // It may fail while the bundle is read, before anybody awaits it.
  listing.catch(() => undefined);
  const bundle = await readBundle(replica, options);
  const head = findHead(replica, bundle, { listing, ...options });
  head.catch(() => undefined);
  return { bundle, head };
}

/** Reads a replica's bundle. Without one, or where it cannot be read, everything is there all the same. */
export async function readBundle(
  replica: Replica,
  { locations: cache, distrusted, signal }: BundleOptions,
): Promise<BundleHead | undefined> {
  try {
    const { head } = await readBundleHead(replica, { cache, signal });
    return head?.etag === distrusted ? undefined : head;
  } catch (error) {
    if (isReplicaError(error, "ABORTED")) throw error;
    logDroppedBundle(replica.path, "its head cannot be read", error);
    return undefined;
  }
}

async function findHead(
  replica: Replica,
  bundle: BundleHead | undefined,
  { listing, nowMs, signal }: ColdLookOptions & { readonly listing: Promise<ListPage> },
): Promise<Head> {
  const page = await listing;
  const looked = { checkedAtMs: nowMs, listedAtMs: nowMs };
  if (bundle) {
    const verdict = await checkBundle(replica, bundle, page, signal);
    if (verdict.bundle) {
      const { plan } = verdict.bundle;
      const files = [...plan.files, ...verdict.newer];
      const txid = files.at(-1)?.maxTxid ?? plan.txid;
      const plannedFiles = plan.files.length;
      return {
        ...looked,
        plan: { files, txid, exact: true },
        plannedFiles,
        bundle: verdict.bundle,
      };
    }
    logDroppedBundle(replica.path, verdict.reason);
  }
  const store = withFirstPage(replica.store, formatReplicaPrefix(replica), page);
  const plan = await loadPlan({ ...replica, store }, { kind: "latest" }, { signal });
  return { ...looked, plan, plannedFiles: plan.files.length };
}
