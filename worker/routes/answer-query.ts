import { ReplicaError } from "../../shared/errors.ts";
import { formatInstant } from "../../shared/instant.ts";
import { formatTxid } from "../../shared/ltx/txid.ts";
import { PageReader } from "../../shared/replica/page-reader.ts";
import { listsEtag } from "../http/etag.ts";
import { queryEtag } from "../http/query-etag.ts";
import type { QueryParameters } from "../http/query-parameters.ts";
import { formatResult } from "../http/result-json.ts";
import { cacheControlOf, versionHeaders } from "../http/version-headers.ts";
import { QUERY_LIMITS } from "../limits.ts";
import { openVersion, type Version } from "../replicas/open-version.ts";
import type { Service } from "../service.ts";
import { engineChoice } from "../sqlite/engine-choice.ts";
import { runQuery, type QueryResult } from "../sqlite/run-query.ts";
import { MeteredSource } from "./metered-source.ts";

/** One query, as a request has put it. */
export interface Question {
  readonly service: Service;
  readonly database: string;
  readonly request: Request;
  readonly parameters: QueryParameters;
  /** The `ref` of the version; undefined for the newest. */
  readonly at: string | undefined;
  readonly signal: AbortSignal;
}

/** What a query took. */
interface Cost {
  readonly resolveMs: number;
  readonly runMs: number;
  readonly source: MeteredSource;
}

/** Opens the version, runs the query and writes the answer, or 304 before any SQL is run. */
export async function answerQuery(question: Question): Promise<Response> {
  const { request, parameters } = question;
  const startedAtMs = performance.now();
  const version = await open(question);
  const openedAtMs = performance.now();
  const headers = new Headers(versionHeaders(version, Date.now()));
  headers.set("vary", "Accept");
  const isCacheable = request.method !== "POST";
  const etag = await queryEtag(version.identity, parameters);
  const isKnown = isCacheable && listsEtag(request.headers.get("if-none-match"), etag);
  if (isKnown)
    return new Response(null, { status: 304, headers: cacheable(headers, etag, version) });
  const { source, result } = await run(question, version);
  if (isCacheable && result.deterministic) cacheable(headers, etag, version);
  else headers.set("cache-control", "no-store");
  const runMs = performance.now() - openedAtMs;
  return resultResponse(question, version, result, headers, {
    resolveMs: openedAtMs - startedAtMs,
    runMs,
    source,
  });
}

/** Runs the statement; where it fails, the error says at which transaction. */
async function run(
  { service, parameters, signal }: Question,
  { snapshot, identity }: Version,
): Promise<{ source: MeteredSource; result: QueryResult }> {
  const { config, library, replica } = service;
  const reader = new PageReader(snapshot, { cache: library.pages });
  const source = new MeteredSource(reader);
  try {
    const request = {
      source,
      sourceKey: `${replica.path} ${identity}`,
      sql: parameters.sql,
      args: parameters.args,
      limits: { ...QUERY_LIMITS, rowsMax: parameters.rowsMax },
      signal,
    };
    const result = await engineChoice(config.engine).on(replica.path, request, runQuery);
    return { source, result };
  } catch (cause) {
    if (!(cause instanceof ReplicaError)) throw cause;
    const details = { txid: formatTxid(snapshot.txid), ...cause.details };
    throw new ReplicaError(cause.code, cause.message, { cause, details });
  } finally {
    if (reader.snapshot !== snapshot) await library.keep(replica, reader.snapshot);
  }
}

function open({ service, parameters, at, signal }: Question): Promise<Version> {
  const { config, library, replica } = service;
  const { freshness } = parameters;
  const { headTtlMs } = config;
  return openVersion({ library, replica, at, freshness, headTtlMs, nowMs: Date.now(), signal });
}

function cacheable(headers: Headers, etag: string, version: Version): Headers {
  headers.set("etag", etag);
  headers.set("cache-control", cacheControlOf(version));
  return headers;
}

function resultResponse(
  question: Question,
  version: Version,
  result: QueryResult,
  headers: Headers,
  cost: Cost,
): Response {
  const { source } = cost;
  const { meter } = question.service;
  const { pages } = source.stats;
  headers.set("content-type", "application/json; charset=utf-8");
  headers.set("x-pages-read", String(pages));
  headers.set("x-bytes-fetched", String(meter.bytes));
  headers.set("server-timing", formatTiming(cost));
  if (result.truncated) headers.set("x-truncated", "true");
  const canonical = canonicalLocation(question, version);
  if (canonical !== undefined) headers.set("content-location", canonical);
  const body = formatResult(result, question.parameters.style, {
    txid: formatTxid(version.snapshot.txid),
    timestamp: formatInstant(version.snapshot.timestampMs),
    exact: version.exact,
    verified: false,
    requested_at: question.at,
    stats: {
      ms: round(cost.resolveMs + cost.runMs),
      pages,
      blocks: meter.gets,
      bytes: meter.bytes,
      cache_hits: source.cacheHits,
    },
  });
  return new Response(body, { headers });
}

function formatTiming({ resolveMs, runMs, source }: Cost): string {
  const blocks = source.stats.requests;
  const sqlMs = Math.max(0, runMs - source.waitedMs);
  return [
    `resolve;dur=${round(resolveMs)}`,
    `fault;dur=${round(source.waitedMs)};desc="${blocks} ${blocks === 1 ? "block" : "blocks"}"`,
    `sql;dur=${round(sqlMs)}`,
  ].join(", ");
}

function round(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}

/** Where the same rows are for ever, for a URL that names a moment. */
function canonicalLocation({ request, database }: Question, version: Version): string | undefined {
  const isMoment = version.kind === "instant" || version.kind === "relative";
  if (!isMoment || request.method !== "GET") return undefined;
  const { searchParams } = new URL(request.url);
  searchParams.delete("at");
  return `/v1/dbs/${database}/at/${formatTxid(version.snapshot.txid)}/query?${searchParams.toString()}`;
}
