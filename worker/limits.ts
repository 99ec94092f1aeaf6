import type { QueryLimits } from "./sqlite/run-query.ts";

/** What one query may use; `GET /v1/dbs/:db` reports them. */
export const QUERY_LIMITS = {
  rowsMax: 10_000,
  resultBytesMax: 10_000_000,
  vmStepsMax: 500_000_000,
  faultsMax: 1_000,
  faultBytesMax: 512_000_000,
} as const satisfies QueryLimits;

/** The longest that a query waits for pages. A Worker's clock stands still while it computes. */
export const TIMEOUT_MS_MAX = 60_000;

/** Of the isolate's 128 MB. In bytes. */
export const PAGE_CACHE_BYTES_MAX = 40_000_000;

/** Cloudflare's own bound is 16 KB. */
export const URL_LENGTH_MAX = 16_384;
