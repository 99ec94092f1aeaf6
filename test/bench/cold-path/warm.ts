/** The same queries again: nothing is asked of the bucket, and how near it is to SQLite over a database in memory. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { milliseconds, percentile, printTable } from "../statistics.ts";
import type { DelayingProxy } from "./delaying-proxy.ts";
import type { Place, PreparedReplica } from "./replicas.ts";
import { startWorker } from "./readers.ts";
import { FIRST, measure, STEPS } from "./steps.ts";

const REPEATS = 50;
/** Of a scan, which takes some hundred times as long. */
const REPEATS_OF_SCANS = 5;

/** Prints the table of warm repeats, what a request of HTTP takes by itself left out of ours. */
export async function printWarm(
  { seaweed, proxy }: Place & { readonly proxy: DelayingProxy },
  replica: PreparedReplica,
): Promise<void> {
  await using worker = await startWorker(seaweed, proxy.url);
  worker.use(replica.path);
  const sqljs = await loadSqlJs();
  const whole = new sqljs.Database(readFileSync(replica.databasePath));
  const overheadMs = await medianOf(REPEATS, async () => {
    await (await fetch(`${worker.workerd.url}/healthz`)).text();
  });
  const rows = [["", "Eddy", "requests", "sql.js, all in memory", "ratio", "goal"]];
  for (const step of [FIRST, ...STEPS]) {
    const { sql, args } = step.ask(replica.rows);
    const isScan = args.length === 0;
    await worker.ask({ sql, args });
    let requests = 0;
    const repeats = isScan ? REPEATS_OF_SCANS : REPEATS;
    const oursMs = await medianOf(repeats, async () => {
      const { lists, gets } = await measure(worker, proxy, { sql, args });
      requests += lists + gets;
    });
    const theirsMs = await medianOf(repeats, () => whole.exec(sql, args));
    const netMs = Math.max(0, oursMs - overheadMs);
    const ratio = `${(netMs / theirsMs).toFixed(1)}x`;
    rows.push([
      name,
      milliseconds(netMs),
      String(requests),
      milliseconds(theirsMs),
      ratio,
      "0, 2x",
    ]);
  }
  whole.close();
  printTable(
    `${replica.title}, warm repeats (${milliseconds(overheadMs)} of HTTP a request taken off ours)`,
    rows,
  );
}

/** What of sql.js's own JavaScript is used here: it comes without types, and the Worker does without it. */
interface SqlJs {
  readonly Database: new (bytes: Uint8Array) => {
    exec(sql: string, args: readonly unknown[]): unknown;
    close(): void;
  };
}

async function loadSqlJs(): Promise<SqlJs> {
  const load = createRequire(import.meta.url)("sql.js") as () => Promise<SqlJs>;
  return await load();
}

async function medianOf(times: number, run: () => unknown): Promise<number> {
  const durationsMs: number[] = [];
  for (let time = 0; time < times; time++) {
    const startedMs = performance.now();
    await run();
    durationsMs.push(performance.now() - startedMs);
  }
  return percentile(durationsMs, 0.5);
}
