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

/**
 * Lets pages of other origins call the API: of all by default, as a token travels in a header that
 * no browser sends by itself.
 */
export const allowOrigins: MiddlewareHandler<{ Bindings: Env }> = (context, next) =>
  cors({
    origin: parseOrigins(context.env.CORS_ORIGINS ?? "*"),
    allowMethods: ["GET", "HEAD", "POST", "QUERY"],
    allowHeaders: ALLOW_HEADERS,
    exposeHeaders: EXPOSE_HEADERS,
    maxAge: PREFLIGHT_SECONDS,
  })(context, next);

function parseOrigins(text: string): string | string[] {
  const origins = text.split(",").map((origin) => origin.trim());
  return origins.includes("*") ? "*" : origins.filter((origin) => origin !== "");
}
