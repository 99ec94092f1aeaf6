import { isReplicaError } from "../../shared/errors.ts";
import { formatInstant } from "../../shared/instant.ts";
import { formatTxid } from "../../shared/ltx/txid.ts";
import { listsEtag } from "../http/etag.ts";
import { queryEtag } from "../http/query-etag.ts";
import type { QueryParameters } from "../http/query-parameters.ts";
import { formatResult } from "../http/result-json.ts";
import { cacheControlOf, versionHeaders } from "../http/version-headers.ts";
import { beginVersion, type BegunVersion, type Version } from "../replicas/open-version.ts";
import type { Service } from "../service.ts";
import { engineChoice } from "../sqlite/engine-choice.ts";
import type { QueryResult } from "../sqlite/run-query.ts";
import type { MeteredSource } from "./metered-source.ts";
import { runBegun } from "./run-version.ts";

const ATTEMPTS_MAX = 3;

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
  readonly verified: boolean;
}

/**
 * Opens the version, runs the query and writes the answer, or 304 before any SQL is run. Begins again
 * where files have gone meanwhile: once with what the bucket, and the edge bundle in it, say then, and
 * once more without that bundle.
 */
export async function answerQuery(question: Question): Promise<Response> {
  // Nothing has been sent yet. Only for the newest version does another TXID do as well.
  const isNewest = question.at === undefined || question.at === "latest";
  const { library, replica } = question.service;
  for (let attempt = 1; ; attempt++) {
    try {
      return await answerOnce(question);
    } catch (error) {
      const hasGone =
        isReplicaError(error, "OBJECT_MISSING") ||
        (isNewest && isReplicaError(error, "VERSION_EXPIRED"));
      if (!hasGone || attempt === ATTEMPTS_MAX) throw error;
      library.forget(replica, { distrust: attempt > 1 });
    }
  }
}

async function answerOnce(question: Question): Promise<Response> {
  const { request, parameters } = question;
  const startedAtMs = performance.now();
  const isCacheable = request.method !== "POST";
  const known = isCacheable ? request.headers.get("if-none-match") : null;
  const { config, replica } = question.service;
  // An isolate's first engine takes a while to be proven: as long as the bucket takes to answer.
  const engines = engineChoice(config.engine);
  const [begun] = await Promise.all([begin(question), engines.prepare(replica.path)]);
  // What the client has can only be compared with the version that it would get.
  const opened = known === null ? begun : { version: (await begun.settled) ?? begun.version };
  const openedAtMs = performance.now();
  if (known !== null) {
    const etag = await queryEtag(opened.version.identity, parameters);
    const headers = cacheable(headersOf(opened.version), etag, opened.version);
    if (listsEtag(known, etag)) return new Response(null, { status: 304, headers });
  }
  const { version, source, result, verified } = await runBegun(question, opened);
  const headers = headersOf(version);
  if (isCacheable && result.deterministic) {
    cacheable(headers, await queryEtag(version.identity, parameters), version);
  } else headers["cache-control"] = "no-store";
  const runMs = performance.now() - openedAtMs;
  return resultResponse(question, version, result, headers, {
    resolveMs: openedAtMs - startedAtMs,
    runMs,
    source,
    verified,
  });
}

function begin({ service, parameters, at, signal }: Question): Promise<BegunVersion> {
  const { config, library, replica } = service;
  const { freshness } = parameters;
  const { headTtlMs } = config;
  return beginVersion({ library, replica, at, freshness, headTtlMs, nowMs: Date.now(), signal });
}

/** Headers of an answer by their names: the platform's own object would cost a call for each. */
type HeaderTexts = Record<string, string>;

function headersOf(version: Version): HeaderTexts {
  return { ...versionHeaders(version, Date.now()), vary: "Accept" };
}

function cacheable(headers: HeaderTexts, etag: string, version: Version): HeaderTexts {
  headers["etag"] = etag;
  headers["cache-control"] = cacheControlOf(version);
  return headers;
}

function resultResponse(
  question: Question,
  version: Version,
  result: QueryResult,
  headers: HeaderTexts,
  cost: Cost,
): Response {
  const { source } = cost;
  const { meter } = question.service;
  const { pages } = source.stats;
  headers["content-type"] = "application/json; charset=utf-8";
  headers["x-pages-read"] = String(pages);
  headers["x-bytes-fetched"] = String(meter.bytes);
  headers["server-timing"] = formatTiming(cost);
  headers["x-verified"] = String(cost.verified);
  if (result.truncated) headers["x-truncated"] = "true";
  const canonical = canonicalLocation(question, version);
  if (canonical !== undefined) headers["content-location"] = canonical;
  const body = formatResult(result, question.parameters.style, {
    txid: formatTxid(version.snapshot.txid),
    timestamp: formatInstant(version.snapshot.timestampMs),
    exact: version.exact,
    verified: cost.verified,
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
