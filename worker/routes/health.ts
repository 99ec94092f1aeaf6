import { Hono } from "hono";
import type { Env } from "../env.ts";
import { methodNotAllowed } from "../http/method-not-allowed.ts";

/** `GET /healthz`: the process lives. Never touches the bucket. */
export function healthRoute(): Hono<{ Bindings: Env }> {
  const route = new Hono<{ Bindings: Env }>();
  route.get("/healthz", (context) =>
    context.json({ status: "ok" }, 200, { "cache-control": "no-store" }),
  );
  route.all("/healthz", methodNotAllowed("GET", "HEAD"));
  return route;
}
