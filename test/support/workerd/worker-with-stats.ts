/** The product's Worker and two more routes, for tests over real sockets that look at its memory. */
import type { Env } from "../../../worker/env.ts";
import worker from "../../../worker/index.ts";
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
      default:
        return worker.fetch(request, env, context);
    }
  },
};
