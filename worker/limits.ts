import type { LibraryMemory } from "./replicas/library-memory.ts";
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

/**
 * What an isolate keeps, in bytes. It has 128 MB for everything, of which 96 are given out here, so that
 * 32 are left for what has no bound of its own: results on their way out (10 MB each at most, and eight
 * queries at a time), files that are being decoded, and garbage.
 *
 * | | MB |
 * | --- | --- |
 * | code, and the JavaScript objects of 64 requests | 7 |
 * | WebAssembly of both engines, what they allocate for queries included | 36 |
 * | pages | 32 |
 * | newest states with their bundles' heads, opened snapshots | 4 + 4 |
 * | page indexes of opened files, parts of long ones, locations from bundles | 2 + 1 + 2 |
 * | reads under way | 8 |
 */
export const LIBRARY_LIMITS: LibraryMemory = {
  pages: 32_000_000,
  heads: 4_000_000,
  snapshots: 4_000_000,
  indexes: 2_000_000,
  windows: 1_000_000,
  locations: 2_097_152,
};

/** What all requests of the isolate together have asked the bucket for and not got yet, in bytes. */
export const READS_UNDER_WAY_BYTES_MAX = 8_000_000;

/** Cloudflare's own bound is 16 KB. */
export const URL_LENGTH_MAX = 16_384;

export const SQL_BYTES_MAX = 100_000;
/** URLs have a bound of their own on the way here. */
export const SQL_BYTES_MAX_IN_URL = 8_192;
export const ARGS_MAX = 1_000;

/** The limits as `GET /v1/dbs/:db` reports them. */
export const REPORTED_LIMITS = {
  sql_bytes: SQL_BYTES_MAX,
  sql_bytes_in_url: SQL_BYTES_MAX_IN_URL,
  args: ARGS_MAX,
  rows: QUERY_LIMITS.rowsMax,
  result_bytes: QUERY_LIMITS.resultBytesMax,
  vm_steps: QUERY_LIMITS.vmStepsMax,
  fetches: QUERY_LIMITS.faultsMax,
  fetched_bytes: QUERY_LIMITS.faultBytesMax,
  timeout_ms: TIMEOUT_MS_MAX,
  page_cache_bytes: LIBRARY_LIMITS.pages,
} as const;
