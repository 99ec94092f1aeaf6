import type { ObjectInfo } from "../../storage/object-store.ts";
import { listObjects } from "../list-ltx-files.ts";
import type { Replica } from "../ltx-key.ts";
import type { BaseReference } from "./bundle-format.ts";
import { formatBaseKey, formatBasePrefix } from "./bundle-keys.ts";
import { readStoredHead } from "./update-bundle.ts";

/** A younger base may be one that somebody is about to name in a head. */
const SAFE_AGE_MS = 10 * 60 * 1_000;

export interface DeleteStaleBasesOptions {
  /** The base of the head that was there before: who has read that one may still be at it. */
  readonly previous?: BaseReference | undefined;
  readonly nowMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Deletes the bases that no head names any more, once the head is there that does not name them.
 *
 * @returns Their keys.
 * @throws {ReplicaError} What the store throws.
 */
export async function deleteStaleBases(
  replica: Replica,
  { previous, nowMs, signal }: DeleteStaleBasesOptions,
): Promise<readonly string[]> {
  const head = await readStoredHead(replica, signal);
  // Without a head to go by, nothing is known to be stale.
  if (!head) return [];
  const kept = [head.base, ...(previous ? [previous] : [])];
  const keptKeys = new Set(kept.map((base) => formatBaseKey(replica, base)));
  const isStale = ({ key, uploadedAtMs }: ObjectInfo) =>
    !keptKeys.has(key) && uploadedAtMs < nowMs - SAFE_AGE_MS;
  const prefix = formatBasePrefix(replica);
  const objects = await Array.fromAsync(listObjects(replica, { prefix, signal }));
  const stale = objects.filter(isStale).map(({ key }) => key);
  if (stale.length > 0) await replica.store.delete(stale, { signal });
  return stale;
}
