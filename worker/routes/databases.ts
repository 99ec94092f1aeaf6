import { Hono, type Context } from "hono";
import * as z from "zod";
import { formatInstant } from "../../shared/instant.ts";
import { formatTxid, type Txid } from "../../shared/ltx/txid.ts";
import type { BundleHead } from "../../shared/replica/edge-bundle/read-bundle-head.ts";
import { openBucket } from "../bucket.ts";
import { readConfig } from "../config.ts";
import type { Env } from "../env.ts";
import { methodNotAllowed } from "../http/method-not-allowed.ts";
import {
  checkParameters,
  freshnessParameters,
  queryStringParameters,
  toFreshness,
} from "../http/parameters.ts";
import { versionHeaders } from "../http/version-headers.ts";
import { REPORTED_LIMITS } from "../limits.ts";
import { listDatabases } from "../replicas/directory.ts";
import { stampOfTxid, takeInventory, type LevelSummary } from "../replicas/inventory.ts";
import { openVersion, type Version } from "../replicas/open-version.ts";
import { serviceFor, type Service } from "../service.ts";
import { listUnsupportedTables } from "./unsupported-tables.ts";

type DatabaseContext = Context<{ Bindings: Env }>;

const NO_STORE = { "cache-control": "no-store" };
const infoSchema = z.strictObject(freshnessParameters);
const resolveSchema = z.strictObject({
  at: z.string({ error: "is missing: it names a moment, such as -5m" }),
  ...freshnessParameters,
});

/** `GET /v1/dbs`, `/v1/dbs/:db` and `/v1/dbs/:db/resolve`: what there is, and how far back it goes. */
export function databasesRoute(): Hono<{ Bindings: Env }> {
  const route = new Hono<{ Bindings: Env }>();
  route.get("/v1/dbs", async (context) => {
    const { env, req } = context;
    const list = await listDatabases(readConfig(env), openBucket(env), req.raw.signal);
    return context.json(list, 200, NO_STORE);
  });
  route.get("/v1/dbs/:db", (context) => answerInfo(context, context.req.param("db")));
  route.get("/v1/dbs/:db/resolve", (context) => answerResolve(context, context.req.param("db")));
  for (const path of ["/v1/dbs", "/v1/dbs/:db", "/v1/dbs/:db/resolve"]) {
    route.all(path, methodNotAllowed("GET", "HEAD"));
  }
  return route;
}

async function answerInfo(context: DatabaseContext, name: string): Promise<Response> {
  const request = context.req.raw;
  const parameters = checkParameters(infoSchema, queryStringParameters(new URL(request.url)));
  const service = serviceFor(context.env, name, context.executionCtx);
  const { library, replica } = service;
  const version = await open(service, request, undefined, parameters);
  const [inventory, bundle] = await Promise.all([
    takeInventory(replica, request.signal),
    library.readBundle(replica, { signal: request.signal }),
  ]);
  const [first] = inventory.restorable;
  const firstMs = first && (await stampOfTxid(replica, inventory, first, request.signal));
  const { pageSize, commit, txid, timestampMs } = version.snapshot;
  const body = {
    name,
    path: replica.path,
    txid: formatTxid(txid),
    timestamp: formatInstant(timestampMs),
    page_size: pageSize,
    page_count: commit,
    size_bytes: pageSize * commit,
    earliest: first && {
      txid: formatTxid(first),
      timestamp: firstMs === undefined ? null : formatInstant(firstMs),
    },
    levels: inventory.levels.map(formatLevel),
    bytes: inventory.levels.reduce((sum, { bytes }) => sum + bytes, 0),
    bundle: bundle ? formatBundle(bundle) : null,
    unsupported_tables: await listUnsupportedTables(service, version, request.signal),
    limits: REPORTED_LIMITS,
  };
  return context.json(body, 200, { ...versionHeaders(version, Date.now()), ...NO_STORE });
}

async function answerResolve(context: DatabaseContext, name: string): Promise<Response> {
  const request = context.req.raw;
  const parameters = checkParameters(resolveSchema, queryStringParameters(new URL(request.url)));
  const service = serviceFor(context.env, name, context.executionCtx);
  const version = await open(service, request, parameters.at, parameters);
  const { restorable } = await takeInventory(service.replica, request.signal);
  const { txid, timestampMs } = version.snapshot;
  const body = {
    txid: formatTxid(txid),
    timestamp: formatInstant(timestampMs),
    exact: version.exact,
    requested: parameters.at,
    range: { min: formatTxid(restorable[0] ?? txid), max: formatTxid(restorable.at(-1) ?? txid) },
    neighbours: neighboursOf(restorable, txid),
    // Nothing in the bucket promises how long a TXID stays restorable by itself.
    available_until: null,
  };
  return context.json(body, 200, { ...versionHeaders(version, Date.now()), ...NO_STORE });
}

function open(
  { config, library, replica }: Service,
  request: Request,
  at: string | undefined,
  parameters: z.infer<typeof infoSchema>,
): Promise<Version> {
  const freshness = toFreshness(parameters, request.headers);
  const { headTtlMs } = config;
  const { signal } = request;
  return openVersion({ library, replica, at, freshness, headTtlMs, nowMs: Date.now(), signal });
}

function formatLevel({ level, files, bytes, minTxid, maxTxid }: LevelSummary) {
  return { level, files, bytes, min_txid: formatTxid(minTxid), max_txid: formatTxid(maxTxid) };
}

/** What the edge bundle beside the replica describes, whether it is the newest state or not. */
function formatBundle({ txid, timestampMs, files, sizeBytes, base }: BundleHead) {
  return {
    txid: formatTxid(txid),
    timestamp: formatInstant(timestampMs),
    files: files.length,
    head_bytes: sizeBytes,
    base_txid: formatTxid(base.txid),
    base_bytes: base.sizeBytes,
  };
}

function neighboursOf(restorable: readonly Txid[], txid: Txid) {
  const before = restorable.findLast((candidate) => candidate < txid);
  const after = restorable.find((candidate) => candidate > txid);
  return {
    ...(before !== undefined && { before: formatTxid(before) }),
    ...(after !== undefined && { after: formatTxid(after) }),
  };
}
