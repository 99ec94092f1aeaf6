/** The product's Worker and some more routes, for tests over real sockets and benchmarks that look into it. */
import type { Env } from "../../../worker/env.ts";
import { readQueryParameters } from "../../../worker/http/query-parameters.ts";
import worker from "../../../worker/index.ts";
import { openVersion } from "../../../worker/replicas/open-version.ts";
import { runBegun } from "../../../worker/routes/run-version.ts";
import { serviceFor } from "../../../worker/service.ts";
import { getEngine } from "../../../worker/sqlite/engine.ts";
import { officialBuild } from "../../../worker/sqlite/official/official-instance.ts";
import { sqljsBuild } from "../../../worker/sqlite/sqljs/sqljs-instance.ts";

// oxlint-disable-next-line import/no-default-export -- what a Worker is.
export default {
  async fetch(request: Request, env: Env, context: ExecutionContext): Promise<Response> {
    switch (new URL(request.url).pathname) {
      case "/engine":
        return Response.json(
          (await getEngine(env.ENGINE === "official" ? officialBuild : sqljsBuild)).stats(),
        );
      case "/collect-garbage":
        (globalThis as { gc?: () => void }).gc?.();
        return new Response(null, { status: 204 });
      case "/repeat":
        return await repeat(request, env, context);
      case "/repeat-on-engine":
        return await repeatOnEngine(request, env, context);
      default:
        return worker.fetch(request, env, context);
    }
  },
};

/** Puts the request to the route in `?path=` so many `times` within one request: what a query takes without sockets. */
async function repeat(request: Request, env: Env, context: ExecutionContext): Promise<Response> {
  const { searchParams, origin } = new URL(request.url);
  const body = await request.text();
  const { headers } = request;
  let last = new Response(null, { status: 400 });
  for (let time = 0; time < Number(searchParams.get("times")); time++) {
    const inner = new Request(`${origin}${searchParams.get("path")}`, {
      method: "POST",
      headers,
      body,
    });
    last = await worker.fetch(inner, env, context);
    await last.arrayBuffer();
  }
  return new Response(null, { status: last.status });
}

/** Runs the request's statement so many `times` at the newest version of `?database=`: what the engine takes, and its pages. */
async function repeatOnEngine(
  request: Request,
  env: Env,
  context: ExecutionContext,
): Promise<Response> {
  const { searchParams, origin } = new URL(request.url);
  const service = serviceFor(env, searchParams.get("database") ?? "", context);
  const parameters = await readQueryParameters(new Request(origin, request));
  const { freshness } = parameters;
  const { signal } = request;
  const { config, library, replica } = service;
  const nowMs = Date.now();
  const asked = { library, replica, freshness, headTtlMs: config.headTtlMs, nowMs, signal };
  const version = await openVersion({ ...asked, at: undefined });
  for (let time = 0; time < Number(searchParams.get("times")); time++) {
    await runBegun({ service, parameters, signal }, { version });
  }
  return new Response(null, { status: 204 });
}
