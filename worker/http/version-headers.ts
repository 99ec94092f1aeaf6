import { formatInstant } from "../../shared/instant.ts";
import { formatTxid } from "../../shared/ltx/txid.ts";
import type { Version } from "../replicas/open-version.ts";

/**
 * Seconds for which a version may be cached as immutable. Litestream's default keeps a TXID
 * restorable by itself for five minutes, and nothing in the bucket promises more yet.
 */
const SETTLED_SECONDS = 300;
/** For a moment that a newer file may still move. */
const MOVING_SECONDS = 60;

/** What a page of another origin, a cache or a program wants to know about the version it got. */
export function versionHeaders(
  { snapshot, exact, checkedAtMs }: Version,
  nowMs: number,
): Record<string, string> {
  return {
    "x-txid": formatTxid(snapshot.txid),
    "x-txid-timestamp": formatInstant(snapshot.timestampMs),
    "x-replica-age": (Math.max(0, nowMs - checkedAtMs) / 1_000).toFixed(3),
    "x-exact": String(exact),
  };
}

/** `Cache-Control` for an answer that only its version decides. */
export function cacheControlOf({ kind, isSettled }: Version): string {
  if (isSettled) return `private, max-age=${SETTLED_SECONDS}, immutable`;
  return kind === "instant" ? `private, max-age=${MOVING_SECONDS}` : "private, no-cache";
}
