/** How long a commit takes to be seen by a query to the Worker: the whole of the path, in the demo's setting. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { startChild } from "../../tools/children.ts";
import { startLocalWorker } from "../../tools/local-worker.ts";
import { freePort } from "../support/free-port.ts";
import { milliseconds, percentile, printTable } from "./statistics.ts";

const BEATS = 200;
const INTERVAL_MS = 50;

/** Prints the table of commit to queryable: a query checks the bucket each time (`max_stale_ms=0`). */
export async function benchCommitToQueryable(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "eddy-bench-"));
  const path = join(folder, "beats.db");
  const database = new DatabaseSync(path);
  database.exec(
    "PRAGMA journal_mode = WAL; CREATE TABLE beats (id INTEGER PRIMARY KEY, body TEXT)",
  );
  database.close();
  const worker = await startLocalWorker({
    folder: join(folder, "worker"),
    port: await freePort(),
    token: "bench",
    databases: { beats: "bench/beats.db" },
  });
  const replicator = startChild({
    name: "the replicator",
    script: "replicator/eddy.mjs",
    args: ["replicate", path, worker.storeUrl("bench/beats.db"), "--sync-interval=0", "--json"],
    env: worker.storeEnv,
  });
  try {
    const latencies = await measure(path, `${worker.url}/v1/dbs/beats/query`);
    const [median, p99] = [percentile(latencies, 0.5), percentile(latencies, 0.99)];
    printTable(`commit to queryable in the Worker, one commit every ${INTERVAL_MS} ms`, [
      ["", "median", "p99"],
      ["Eddy", milliseconds(median), milliseconds(p99)],
    ]);
  } finally {
    await replicator.stop("SIGINT");
    await worker.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(path: string, url: string): Promise<number[]> {
  while ((await newestBeat(url)) === undefined) {
    // Asked again until the first image is in the bucket.
  }
  const args = ["test/bench/beat-writer.ts", path, String(BEATS), String(INTERVAL_MS)];
  const writer = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const committedAtMs = new Map<number, number>();
  let rest = "";
  writer.stdout.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const beat = JSON.parse(line) as { id: number; committedAtMs: number };
      committedAtMs.set(beat.id, beat.committedAtMs);
    }
  });
  const closed = new Promise((resolve) => writer.once("close", resolve));
  const seenAtMs = new Map<number, number>();
  for (let seen = 0; seen < BEATS;) {
    const newest = (await newestBeat(url)) ?? 0;
    const nowMs = performance.timeOrigin + performance.now();
    for (; seen < newest; seen++) seenAtMs.set(seen + 1, nowMs);
  }
  await closed;
  return [...seenAtMs].map(([id, atMs]) => atMs - (committedAtMs.get(id) ?? Number.NaN));
}

async function newestBeat(url: string): Promise<number | undefined> {
  const sql = encodeURIComponent("SELECT coalesce(max(id), 0) FROM beats");
  const headers = { authorization: "Bearer bench" };
  const response = await fetch(`${url}?max_stale_ms=0&sql=${sql}`, { headers });
  const body = (await response.json()) as { rows?: [[number]] };
  return body.rows?.[0][0];
}
