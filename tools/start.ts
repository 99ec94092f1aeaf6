/**
 * `npm start`: the whole of Eddy on this machine, without an account. A sample database with a live
 * writer, the replicator, and the Worker with its local R2; prints what to try, and ends everything
 * that it started on Ctrl-C.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isReplicaError } from "../shared/errors.ts";
import { startChild, type Child } from "./children.ts";
import { createSampleDatabase } from "./demo/sample-database.ts";
import { startLocalWorker, type LocalWorker } from "./local-worker.ts";
import { parsePort, say, waitUntilOk } from "./terminal.ts";

const WRITE_INTERVAL_MS = 500;
const MOMENT = "-10s";
const QUERY = "SELECT id, state, placed_at FROM orders ORDER BY id DESC LIMIT 3";

const interrupted = new AbortController();
// SIGHUP: the terminal was closed.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => interrupted.abort(signal));
}

const folder = mkdtempSync(join(tmpdir(), "eddy-demo-"));
const children: Child[] = [];
let worker: LocalWorker | undefined;
try {
  const port = parsePort(process.env["PORT"] ?? "8787");
  const token = process.env["EDDY_TOKEN"] ?? randomBytes(12).toString("hex");
  worker = await run(port, token);
} catch (error) {
  if (!interrupted.signal.aborted) {
    say(`eddy: ${isReplicaError(error) ? error.message : String((error as Error).stack)}`);
    process.exitCode = isReplicaError(error, "BAD_CONFIG") ? 2 : 1;
  }
} finally {
  interrupted.abort();
  // The writer first, then the replicator (it ships what is left), then what it ships to.
  for (const child of children) await child.stop("SIGINT");
  await worker?.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function run(port: number, token: string): Promise<LocalWorker> {
  const { signal } = interrupted;
  const path = join(folder, "shop.db");
  say("Eddy demo: making a sample database, starting the Worker and its local R2 …");
  createSampleDatabase(path);
  worker = await startLocalWorker({
    folder: join(folder, "worker"),
    port,
    token,
    databases: { shop: "demo/shop.db" },
    signal,
  });
  children.push(
    startChild({
      name: "the writer",
      script: "tools/demo/writer.ts",
      args: [path, String(WRITE_INTERVAL_MS)],
    }),
    startChild({
      name: "the replicator",
      script: "replicator/eddy.mjs",
      // The local bucket charges nothing: every commit is shipped at once.
      args: ["replicate", path, worker.storeUrl("demo/shop.db"), "--sync-interval=0", "--json"],
      env: worker.storeEnv,
    }),
  );
  const api = `${worker.url}/v1/dbs/shop`;
  const headers = { authorization: `Bearer ${token}` };
  const lost = Promise.race([
    ...children.map(async (child) => `${child.name} ended (${await child.exited})`),
    worker.exited.then(() => "the Worker ended"),
    new Promise<undefined>((resolve) => {
      signal.addEventListener("abort", () => resolve(undefined));
    }),
  ]);
  await Promise.race([waitUntilOk(api, { headers, signal }), lost]);
  if (!signal.aborted) printWhatToTry({ url: worker.url, api, token, path });
  void announceTheMoment(api, headers, signal, lost);
  const reason = await lost;
  if (reason !== undefined) throw new Error(`${reason}; the demo cannot go on without it`);
  say("\nstopping …");
  return worker;
}

interface Links {
  readonly url: string;
  readonly api: string;
  readonly token: string;
  readonly path: string;
}

function printWhatToTry({ url, api, token, path }: Links): void {
  const authorization = `-H 'Authorization: Bearer ${token}'`;
  say(`
A database is being written every ${WRITE_INTERVAL_MS} ms, replicated, and served from the bucket.

  The page          ${url}/#token=${token}
  A query, now      curl -sG ${authorization} ${api}/query --data-urlencode 'sql=${QUERY}'
  The database      curl -LO ${authorization} ${api}/snapshots/latest/shop.db
  From a file       sqlite3 ${path}   (whatever you write there shows up in the queries)

The same query ${MOMENT.slice(1, -1)} seconds ago follows in a moment. Ctrl-C stops everything and removes ${folder}.`);
}

/** Prints the query of the past once the replica reaches that far back. */
async function announceTheMoment(
  api: string,
  headers: Record<string, string>,
  signal: AbortSignal,
  lost: Promise<unknown>,
): Promise<void> {
  const resolved = waitUntilOk(`${api}/resolve?at=${MOMENT}`, { headers, signal });
  await Promise.race([resolved, lost]);
  if (signal.aborted) return;
  const curl = `curl -sG -H 'Authorization: ${headers["authorization"]}'`;
  say(`  A moment ago      ${curl} ${api}/at/${MOMENT}/query --data-urlencode 'sql=${QUERY}'`);
}
