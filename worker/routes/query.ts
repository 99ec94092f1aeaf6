import { Hono, type Context } from "hono";
import { ReplicaError } from "../../shared/errors.ts";
import type { Env } from "../env.ts";
import { withDeadline } from "../http/deadline.ts";
import { methodNotAllowed } from "../http/method-not-allowed.ts";
import { requireJson } from "../http/negotiation.ts";
import { readQueryParameters } from "../http/query-parameters.ts";
import { serviceFor } from "../service.ts";
import { answerQuery } from "./answer-query.ts";

/** `GET|POST|QUERY /v1/dbs/:db[/at/:ref]/query`: one read-only statement at one version. */
export function queryRoute(): Hono<{ Bindings: Env }> {
  const route = new Hono<{ Bindings: Env }>();
  for (const path of ["/v1/dbs/:db/query", "/v1/dbs/:db/at/:ref/query"]) {
    route.on(["GET", "POST", "QUERY"], path, (context) =>
      answer(context, context.req.param("db") ?? "", context.req.param("ref")),
    );
    route.all(path, methodNotAllowed("GET", "HEAD", "POST", "QUERY"));
  }
  return route;
}

async function answer(
  context: Context<{ Bindings: Env }>,
  database: string,
  ref: string | undefined,
): Promise<Response> {
  const request = context.req.raw;
  const service = serviceFor(context.env, database, context.executionCtx);
  const parameters = await readQueryParameters(request);
  requireJson(parameters.format, request.headers.get("accept"));
  if (ref !== undefined && parameters.at !== undefined) {
    throw new ReplicaError("BAD_REQUEST", "the version is given twice: in the path and as at");
  }
  const at = ref ?? parameters.at;
  const work = withDeadline(request.signal, parameters.timeoutMs, (signal) =>
    answerQuery({ service, database, request, parameters, at, signal }),
  );
  // A suspended statement must be resumed to be freed, also when its client has left: without this
  // the platform drops the request, and with it the connection.
  context.executionCtx.waitUntil(work.then(nothing, nothing));
  return work;
}

function nothing(): void {}
