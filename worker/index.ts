import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { ReplicaError } from "../shared/errors.ts";
import { installKernel } from "../shared/ltx/kernel.ts";
import kernelModule from "../shared/ltx/kernel.wasm";
import { requireToken } from "./auth/bearer.ts";
import type { Env } from "./env.ts";
import { allowOrigins } from "./http/cors.ts";
import { problemResponse } from "./http/problem.ts";
import { URL_LENGTH_MAX } from "./limits.ts";
import { consoleRoute } from "./routes/console.ts";
import { databasesRoute } from "./routes/databases.ts";
import { healthRoute } from "./routes/health.ts";
import { queryRoute } from "./routes/query.ts";
import { snapshotsRoute } from "./routes/snapshots.ts";

// The build compiled it: a Worker compiles nothing at run time.
installKernel(kernelModule);

const app = new Hono<{ Bindings: Env }>();

app.onError((error) => problemResponse(error));
app.notFound(({ req }) =>
  problemResponse(new HTTPException(404, { message: `there is nothing at ${req.path}` })),
);
app.use(async ({ req }, next) => {
  if (req.url.length <= URL_LENGTH_MAX) return next();
  throw new ReplicaError(
    "URL_TOO_LONG",
    `the URL is ${req.url.length} characters long; at most ${URL_LENGTH_MAX} are read: use POST`,
  );
});

app.route("/", healthRoute());
app.route("/", consoleRoute());

app.use("/v1/*", allowOrigins);
app.use("/v1/*", async ({ req, env }, next) => {
  await requireToken(req.header("authorization"), env.EDDY_TOKEN);
  await next();
});

app.route("/", databasesRoute());
app.route("/", queryRoute());
app.route("/", snapshotsRoute());

export default app;
