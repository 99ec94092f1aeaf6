/** The same queries again: nothing is asked of the bucket, and how near it is to SQLite over a database in memory. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { printTable } from "../statistics.ts";
import type { DelayingProxy } from "./delaying-proxy.ts";
import type { Place, PreparedReplica } from "./replicas.ts";
import { startWorker, type OurReader, type Question } from "./readers.ts";
import { FIRST, STEPS, type Step } from "./steps.ts";

const REPEATS = 500;
/** Of a scan, which takes some hundred times as long. */
const REPEATS_OF_SCANS = 20;
/** Of one that is longer than what our Worker keeps: it is never warm. */
const REPEATS_OF_LONG_SCANS = 1;
/** Both take turns, and the median counts: so they are compared under the same load of the machine. */
const ROUNDS = 3;

/** Prints the tables of warm repeats: of whole requests, and of the engine by itself. */
export async function printWarm(
  { seaweed, proxy }: Place & { readonly proxy: DelayingProxy },
  replica: PreparedReplica,
): Promise<void> {
  await using worker = await startWorker(seaweed, proxy.url);
  worker.use(replica.path);
  const sqljs = await loadSqlJs();
  const whole = new sqljs.Database(readFileSync(replica.databasePath));
  const requests = [["", "Eddy", "requests", "sql.js, all in memory", "ratio", "goal"]];
  const statements = [["", "Eddy's engine", "requests", "sql.js, all in memory", "ratio", "goal"]];
  for (const step of [FIRST, ...STEPS]) {
    const question = step.ask(replica.rows);
    const times = repeatsOf(step, question);
    await worker.ask(question);
    proxy.take();
    const request = await compare((...asked) => worker.repeat(...asked), whole, {
      question,
      times,
    });
    requests.push([step.name, ...formatted(request, askedOf(proxy))]);
    const statement = await compare((...asked) => worker.repeatOnEngine(...asked), whole, {
      question,
      times,
    });
    statements.push([step.name, ...formatted(statement, askedOf(proxy))]);
  }
  whole.close();
  printTable(
    `${replica.title}, warm repeats: a whole request to our Worker but for the socket, and the bare query`,
    requests,
  );
  printTable(
    `${replica.title}, warm repeats on the engine: the statement alone, through our pages, and the bare query`,
    statements,
  );
}

function repeatsOf({ isOursOnly }: Step, { args }: Question): number {
  if (isOursOnly === true) return REPEATS_OF_LONG_SCANS;
  return args.length === 0 ? REPEATS_OF_SCANS : REPEATS;
}

interface Compared {
  readonly oursMs: number;
  readonly theirsMs: number;
}

async function compare(
  repeat: OurReader["repeat"],
  whole: SqlJsDatabase,
  { question, times }: { readonly question: Question; readonly times: number },
): Promise<Compared> {
  const { sql, args } = question;
  const rounds: Compared[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const oursMs = await repeat(question, times);
    const startedMs = performance.now();
    for (let time = 0; time < times; time++) whole.exec(sql, args);
    rounds.push({ oursMs, theirsMs: (performance.now() - startedMs) / times });
  }
  const ratio = ({ oursMs, theirsMs }: Compared) => oursMs / theirsMs;
  return rounds.toSorted((a, b) => ratio(a) - ratio(b))[Math.floor(ROUNDS / 2)];
}

/** Requests to the bucket since the last time. */
function askedOf(proxy: DelayingProxy): number {
  const { lists, gets } = proxy.take();
  return lists + gets;
}

function formatted({ oursMs, theirsMs }: Compared, asked: number): string[] {
  const ratio = `${(oursMs / theirsMs).toFixed(1)}x`;
  return [microseconds(oursMs), String(asked), microseconds(theirsMs), ratio, "0, 2x"];
}

/** What of sql.js's own JavaScript is used here: it comes without types, and the Worker does without it. */
interface SqlJs {
  readonly Database: new (bytes: Uint8Array) => SqlJsDatabase;
}

interface SqlJsDatabase {
  exec(sql: string, args: readonly unknown[]): unknown;
  close(): void;
}

async function loadSqlJs(): Promise<SqlJs> {
  const load = createRequire(import.meta.url)("sql.js") as () => Promise<SqlJs>;
  return await load();
}

function microseconds(ms: number): string {
  return `${Math.round(ms * 1_000)} µs`;
}
