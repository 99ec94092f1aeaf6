/** The same queries again: nothing is asked of the bucket, and how near it is to SQLite over a database in memory. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { printTable } from "../statistics.ts";
import type { DelayingProxy } from "./delaying-proxy.ts";
import type { Place, PreparedReplica } from "./replicas.ts";
import { startWorker } from "./readers.ts";
import { FIRST, STEPS } from "./steps.ts";

const REPEATS = 500;
/** Of a scan, which takes some hundred times as long. */
const REPEATS_OF_SCANS = 20;

/** Prints the table of warm repeats. */
export async function printWarm(
  { seaweed, proxy }: Place & { readonly proxy: DelayingProxy },
  replica: PreparedReplica,
): Promise<void> {
  await using worker = await startWorker(seaweed, proxy.url);
  worker.use(replica.path);
  const sqljs = await loadSqlJs();
  const whole = new sqljs.Database(readFileSync(replica.databasePath));
  const rows = [["", "Eddy", "requests", "sql.js, all in memory", "ratio", "goal"]];
  for (const step of [FIRST, ...STEPS]) {
    const { sql, args } = step.ask(replica.rows);
    const isScan = args.length === 0;
    await worker.ask({ sql, args });
    const times = isScan ? REPEATS_OF_SCANS : REPEATS;
    proxy.take();
    const oursMs = await worker.repeat({ sql, args }, times);
    const { lists, gets } = proxy.take();
    const startedMs = performance.now();
    for (let time = 0; time < times; time++) whole.exec(sql, args);
    const theirsMs = (performance.now() - startedMs) / times;
    const ratio = `${(oursMs / theirsMs).toFixed(1)}x`;
    rows.push([
      step.name,
      microseconds(oursMs),
      String(lists + gets),
      microseconds(theirsMs),
      ratio,
      "0, 2x",
    ]);
  }
  whole.close();
  printTable(
    `${replica.title}, warm repeats: a whole request to our Worker but for the socket, and the bare query`,
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

function microseconds(ms: number): string {
  return `${Math.round(ms * 1_000)} µs`;
}
