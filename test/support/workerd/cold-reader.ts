/** An isolate that knows nothing, reading as the routes do: what each of its queries costs is counted. */
import { limitRequests } from "../../../shared/replica/limit-requests.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import type { ObjectStore } from "../../../shared/storage/object-store.ts";
import { readConfig } from "../../../worker/config.ts";
import { readQueryParameters } from "../../../worker/http/query-parameters.ts";
import { LIBRARY_LIMITS, READS_UNDER_WAY_BYTES_MAX } from "../../../worker/limits.ts";
import { Library } from "../../../worker/replicas/library.ts";
import { MeteredStore } from "../../../worker/replicas/metered-store.ts";
import { ReadBudget } from "../../../worker/replicas/read-budget.ts";
import { answerQuery } from "../../../worker/routes/answer-query.ts";
import { getEngine } from "../../../worker/sqlite/engine.ts";
import { officialBuild } from "../../../worker/sqlite/official/official-instance.ts";
import { sqljsBuild } from "../../../worker/sqlite/sqljs/sqljs-instance.ts";
import { countingStore, type CountingStore } from "../counting-store.ts";
import { replicaIn } from "../replica-fixtures.ts";

/** What a query answered, and what it asked of the bucket. */
export interface ColdAnswer {
  readonly txid: string;
  readonly rows: readonly (readonly unknown[])[];
  readonly verified: boolean;
  readonly lists: number;
  readonly gets: number;
  readonly bytesRead: number;
  /** Round trips one after the other, with six requests at a time. */
  readonly rounds: number;
  readonly inFlightMax: number;
  readonly keysRead: readonly string[];
}

export interface ColdReader {
  readonly library: Library;
  readonly replica: Replica;
  /** What was asked of the bucket since the last `query` began. */
  readonly store: CountingStore;
  query(sql: string, options?: QueryOptions): Promise<ColdAnswer>;
  /** The same, as the route answers it. */
  respond(sql: string, options?: QueryOptions): Promise<Response>;
}

export interface QueryOptions {
  readonly at?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** 0 when left out: every query looks at the bucket. */
  readonly maxStaleMs?: number;
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 0);
  });
}

/** Every answer takes one turn of the event loop, so that what is asked side by side is answered together. */
function withLatency(store: ObjectStore): ObjectStore {
  return {
    list: (options) => turn().then(() => store.list(options)),
    get: (key, options) => turn().then(() => store.get(key, options)),
    put: (key, body, options) => store.put(key, body, options),
    delete: (keys, options) => store.delete(keys, options),
  };
}

function nowMs(): number {
  return 1_000_000;
}

export interface ColdReaderOptions {
  /** Of the replica; `db` when left out. */
  readonly path?: string;
  /** One that knows something already; a new one when left out. */
  readonly library?: Library;
  /** The build of SQLite; chosen by the statement when left out, sql.js first. */
  readonly engine?: "sqljs" | "official";
}

const BUILDS = { sqljs: sqljsBuild, official: officialBuild } as const;

/** A reader with caches of its own. */
export function coldReader(
  store: ObjectStore,
  {
    path = "db",
    engine,
    library = new Library({ limits: LIBRARY_LIMITS, now: nowMs }),
  }: ColdReaderOptions = {},
): ColdReader {
  const budget = new ReadBudget({ bytesMax: READS_UNDER_WAY_BYTES_MAX, now: nowMs });
  const counted = countingStore(withLatency(store));
  let isNew = true;
  const respond = async (sql: string, { at, headers, maxStaleMs = 0 }: QueryOptions = {}) => {
    // The engine is the test's own isolate's, and its connections hold pages of other readers.
    if (isNew) (await getEngine(BUILDS[engine ?? "sqljs"])).live.pool.closeAll();
    isNew = false;
    const search = new URLSearchParams({ sql, max_stale_ms: String(maxStaleMs) }).toString();
    const url = `https://eddy.test/v1/dbs/db/query?${search}`;
    const request = new Request(url, { headers: { ...headers } });
    const meter = new MeteredStore(limitRequests(counted, 6), budget);
    const config = { ...readConfig({ ENGINE: engine ?? "auto" }), headTtlMs: 1_000 };
    const service = { config, library, replica: replicaIn(meter, path), meter };
    const parameters = await readQueryParameters(request);
    const { signal } = request;
    return answerQuery({ service, database: "db", request, parameters, at, signal });
  };
  return {
    library,
    replica: replicaIn(store, path),
    store: counted,
    respond,
    query: async (sql, options) => {
      counted.reset();
      const response = await respond(sql, options);
      const body = await response.json<Pick<ColdAnswer, "txid" | "rows" | "verified">>();
      const { lists, gets, bytesRead, rounds, inFlightMax, keysRead } = counted;
      const { txid, rows, verified } = body;
      return { txid, rows, verified, lists, gets, bytesRead, rounds, inFlightMax, keysRead };
    },
  };
}
