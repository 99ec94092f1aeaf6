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
  const others = await listOtherBases(replica, [head.base, previous], signal);
  const isStale = ({ uploadedAtMs }: ObjectInfo) => uploadedAtMs < nowMs - SAFE_AGE_MS;
  const stale = others.filter(isStale).map(({ key }) => key);
  if (stale.length > 0) await replica.store.delete(stale, { signal });
  return stale;
}

/** The bases beside a replica but for those that are kept. */
export async function listOtherBases(
  replica: Replica,
  kept: readonly (BaseReference | undefined)[],
  signal: AbortSignal | undefined,
): Promise<readonly ObjectInfo[]> {
  const keptKeys = new Set(kept.map((base) => base && formatBaseKey(replica, base)));
  const prefix = formatBasePrefix(replica);
  const objects = await Array.fromAsync(listObjects(replica, { prefix, signal }));
  return objects.filter(({ key }) => !keptKeys.has(key));
}
