import { STORE_REQUESTS_MAX } from "../shared/limits.ts";
import { limitRequests } from "../shared/replica/limit-requests.ts";
import type { Replica } from "../shared/replica/ltx-key.ts";
import { openBucket } from "./bucket.ts";
import { readConfig, type Config } from "./config.ts";
import type { Env } from "./env.ts";
import { LIBRARY_LIMITS, READS_UNDER_WAY_BYTES_MAX } from "./limits.ts";
import { findReplica } from "./replicas/directory.ts";
import { Library } from "./replicas/library.ts";
import { withBlockCache } from "./storage/block-cache.ts";
import { MeteredStore } from "./replicas/metered-store.ts";
import { ReadBudget } from "./replicas/read-budget.ts";

/** What this isolate knows; requests come and go. */
const library = new Library({ limits: LIBRARY_LIMITS, now: Date.now });
const budget = new ReadBudget({ bytesMax: READS_UNDER_WAY_BYTES_MAX, now: Date.now });

/** What a route that reads a database works with. */
export interface Service {
  readonly config: Config;
  readonly library: Library;
  readonly replica: Replica;
  /** What this request has read of the bucket so far: `replica` goes through it. */
  readonly meter: MeteredStore;
}

/**
 * The database `name`, and what it takes to read it.
 *
 * @param context Whose `waitUntil` lets work go on after the answer.
 * @throws {ReplicaError} `BAD_CONFIG`, `DB_NOT_FOUND`.
 */
export function serviceFor(
  env: Env,
  name: string,
  context: Pick<ExecutionContext, "waitUntil">,
): Service {
  const config = readConfig(env);
  const meter = new MeteredStore(openBucket(env), budget);
  const cache = config.hasBlockCache ? dataCentreCache() : undefined;
  const bucket = env.S3_ENDPOINT ? `${env.S3_ENDPOINT}/${env.S3_BUCKET ?? ""}` : "r2";
  const cached = cache ? withBlockCache(meter, { cache, bucket, context }) : meter;
  // Six wait for their headers at a time, and the platform would let the seventh queue.
  const store = limitRequests(cached, STORE_REQUESTS_MAX);
  return { config, library, replica: findReplica(config, store, name), meter };
}

/** The data centre's cache, where the platform has one. */
function dataCentreCache(): Cache | undefined {
  return typeof caches === "undefined" ? undefined : caches.default;
}
