import { Hono, type Context } from "hono";
import * as z from "zod";
import { ReplicaError } from "../../shared/errors.ts";
import { formatTxid } from "../../shared/ltx/txid.ts";
import { streamDatabase } from "../../shared/replica/page-stream.ts";
import type { Env } from "../env.ts";
import { parseRange, type FileRange } from "../http/byte-ranges.ts";
import { listsEtag, listsEtagStrongly } from "../http/etag.ts";
import { methodNotAllowed } from "../http/method-not-allowed.ts";
import {
  checkParameters,
  freshnessParameters,
  queryStringParameters,
  toFreshness,
} from "../http/parameters.ts";
import { problemResponse } from "../http/problem.ts";
import { pumpInto } from "../http/pump.ts";
import { cacheControlOf, versionHeaders } from "../http/version-headers.ts";
import type { Library } from "../replicas/library.ts";
import { openVersion, type Version } from "../replicas/open-version.ts";
import { serviceFor } from "../service.ts";

/** What one request should ask for of a large file, so that it stays within a Worker's CPU time. */
const RECOMMENDED_RANGE_BYTES = 268_435_456;
const schema = z.strictObject(freshnessParameters);

/** `GET|HEAD /v1/dbs/:db/snapshots/:ref/:filename`: the database file at one version. */
export function snapshotsRoute(): Hono<{ Bindings: Env }> {
  const route = new Hono<{ Bindings: Env }>();
  const path = "/v1/dbs/:db/snapshots/:ref/:filename";
  route.get(path, (context) => {
    const { db, ref, filename } = context.req.param();
    return answer(context, { database: db, ref, filename });
  });
  route.all(path, methodNotAllowed("GET", "HEAD"));
  return route;
}

interface Place {
  readonly database: string;
  readonly ref: string;
  readonly filename: string;
}

async function answer(context: Context<{ Bindings: Env }>, place: Place): Promise<Response> {
  const request = context.req.raw;
  const service = serviceFor(context.env, place.database, context.executionCtx);
  const parameters = checkParameters(schema, queryStringParameters(new URL(request.url)));
  const nowMs = Date.now();
  const version = await openVersion({
    library: service.library,
    replica: service.replica,
    at: place.ref,
    freshness: toFreshness(parameters, request.headers),
    headTtlMs: service.config.headTtlMs,
    nowMs,
    signal: request.signal,
  });
  const etag = `"${version.identity}"`;
  const sizeBytes = version.snapshot.commit * version.snapshot.pageSize;
  const headers = new Headers(fileHeaders(version, place, nowMs));
  headers.set("etag", etag);
  const ifMatch = request.headers.get("if-match");
  if (ifMatch !== null && !listsEtagStrongly(ifMatch, etag)) {
    const { txid } = version.snapshot;
    throw new ReplicaError(
      "PRECONDITION",
      `the file at this version has the ETag ${etag}, and If-Match asks for ${ifMatch}: begin the download anew`,
      { details: { txid: formatTxid(txid) } },
    );
  }
  if (listsEtag(request.headers.get("if-none-match"), etag)) {
    return new Response(null, { status: 304, headers });
  }
  const range = rangeOf(request, version, etag);
  if (range === "unsatisfiable") {
    return problemResponse(
      new ReplicaError(
        "RANGE",
        `the file has ${sizeBytes} bytes, and the range begins behind them`,
      ),
      { "content-range": `bytes */${sizeBytes}` },
    );
  }
  const { library } = service;
  return fileResponse(context, version, { library, headers, range, sizeBytes });
}

/**
 * Ranges are for pinned versions: whoever resumes `latest` would get the rest of another file. With
 * `If-Range` the client says which one it has, so there they hold for every version.
 */
function rangeOf(request: Request, version: Version, etag: string) {
  const { commit, pageSize } = version.snapshot;
  const ifRange = request.headers.get("if-range");
  const isSameFile = ifRange === null ? version.kind === "txid" : ifRange.trim() === etag;
  // A range of HEAD means nothing: RFC 9110 defines it for GET.
  if (!isSameFile || request.method !== "GET") return undefined;
  return parseRange(request.headers.get("range"), commit * pageSize);
}

interface FileAnswer {
  readonly library: Library;
  readonly headers: Headers;
  readonly range: FileRange | undefined;
  readonly sizeBytes: number;
}

function fileResponse(
  context: Context<{ Bindings: Env }>,
  { snapshot }: Version,
  { library, headers, range, sizeBytes }: FileAnswer,
): Response {
  const { offset, length } = range ?? { offset: 0, length: sizeBytes };
  if (range) headers.set("content-range", `bytes ${offset}-${offset + length - 1}/${sizeBytes}`);
  headers.set("content-length", String(length));
  const status = range ? 206 : 200;
  if (context.req.method === "HEAD") return new Response(null, { status, headers });
  const { signal } = context.req.raw;
  const chunks = streamDatabase(snapshot, {
    range: { offset, length },
    reopen: (gone, look) => library.reopen(gone.replica, gone, look),
    signal,
  });
  const { readable, writable } = new FixedLengthStream(length);
  context.executionCtx.waitUntil(pumpInto(chunks, writable));
  return new Response(readable, { status, headers });
}

function fileHeaders(
  version: Version,
  { database, filename }: Place,
  nowMs: number,
): Record<string, string> {
  const { snapshot, kind } = version;
  const txid = formatTxid(snapshot.txid);
  const pinned = `/v1/dbs/${database}/snapshots/${txid}/${encodeURIComponent(filename)}`;
  return {
    ...versionHeaders(version, nowMs),
    // These go out before the pages are read, some of which may have no checksum.
    "x-verified": "false",
    "content-type": "application/vnd.sqlite3",
    "content-disposition": `attachment; filename="${fileName(database, version)}"`,
    "cache-control": `${cacheControlOf(version)}, no-transform`,
    "x-recommended-range": String(RECOMMENDED_RANGE_BYTES),
    ...(kind === "txid"
      ? { "accept-ranges": "bytes" }
      : { "accept-ranges": "none", "content-location": pinned }),
  };
}

/** `app-20261123T190001Z-855.db`: the database, its moment, its TXID without the zeros. */
function fileName(database: string, { snapshot }: Version): string {
  const stem = database.replace(/\.(db|sqlite3?)$/, "");
  const moment = new Date(snapshot.timestampMs).toISOString().replace(/[-:]|\.\d+/g, "");
  return `${stem}-${moment}-${snapshot.txid.toString(16)}.db`;
}
