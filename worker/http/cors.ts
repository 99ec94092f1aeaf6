import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import type { Env } from "../env.ts";

const ALLOW_HEADERS = [
  "authorization",
  "content-type",
  "cache-control",
  "x-min-txid",
  "if-none-match",
  "if-match",
  "if-range",
  "range",
];
const EXPOSE_HEADERS = [
  "etag",
  "x-txid",
  "x-txid-timestamp",
  "x-exact",
  "x-verified",
  "x-truncated",
  "x-replica-age",
  "x-pages-read",
  "x-bytes-fetched",
  "server-timing",
  "content-range",
  "content-location",
  "content-disposition",
  "retry-after",
  "link",
];
const PREFLIGHT_SECONDS = 3_600;

const EXPOSED = EXPOSE_HEADERS.join(",");

/** What `CORS_ORIGINS` says; `*` for all. */
interface Origins {
  readonly allowed: "*" | readonly string[];
  /** Answers a browser that asks first. */
  readonly preflight: MiddlewareHandler;
}

/** An isolate has one `CORS_ORIGINS`; tests have some. */
const known = new Map<string, Origins>();
const KNOWN_MAX = 16;

/**
 * Lets pages of other origins call the API: of all by default, as a token travels in a header that
 * no browser sends by itself.
 *
 * Hono's own middleware sets its headers before there is an answer, and copies the answer then.
 */
export const allowOrigins: MiddlewareHandler<{ Bindings: Env }> = async (context, next) => {
  const { allowed, preflight } = originsOf(context.env.CORS_ORIGINS ?? "*");
  if (context.req.method === "OPTIONS") return preflight(context, next);
  await next();
  const { headers } = context.res;
  headers.set("access-control-expose-headers", EXPOSED);
  if (allowed === "*") {
    headers.set("access-control-allow-origin", "*");
    return;
  }
  const origin = context.req.header("origin");
  if (origin !== undefined && allowed.includes(origin)) {
    headers.set("access-control-allow-origin", origin);
  }
  headers.append("vary", "Origin");
};

function originsOf(text: string): Origins {
  const origins = known.get(text);
  if (origins) return origins;
  const allowed = parseOrigins(text);
  const preflight = cors({
    origin: allowed === "*" ? allowed : [...allowed],
    allowMethods: ["GET", "HEAD", "POST", "QUERY"],
    allowHeaders: ALLOW_HEADERS,
    exposeHeaders: EXPOSE_HEADERS,
    maxAge: PREFLIGHT_SECONDS,
  });
  if (known.size >= KNOWN_MAX) known.clear();
  known.set(text, { allowed, preflight });
  return { allowed, preflight };
}

function parseOrigins(text: string): "*" | readonly string[] {
  const origins = text.split(",").map((origin) => origin.trim());
  return origins.includes("*") ? "*" : origins.filter((origin) => origin !== "");
}
