/**
 * `npm run torture`: replicates databases of writers that do whatever SQLite allows, kills the replicator at
 * random moments, spoils what it left, lets its store fail, and looks after every round whether what
 * `eddy restore` writes is a state that the writer had committed, and none older than was promised.
 *
 * Every number comes from the seed, but not the moments at which processes meet: a seed that found something
 * finds it again often, not always.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startLocalR2, type LocalR2 } from "../support/local-r2.ts";
import type { Contender } from "./contender.ts";
import { runSeries, type SeriesReport } from "./series.ts";
import { UnreliableBucket } from "./unreliable-bucket.ts";

const ROUNDS_PER_SERIES = 6;

const USAGE = `npm run torture -- [--seed N] [--minutes M] [--rounds R] [--parallel P] [--store folder|bucket|both]
                   [--peer litestream] [--keep] [--json]

  --seed N       begins with this seed; each database takes the next one (default: the time)
  --minutes M    begins no round after so long (default 5, or no limit with --rounds)
  --rounds R     begins no database after so many rounds; each goes through ${ROUNDS_PER_SERIES}
  --parallel P   so many databases side by side (default 2)
  --store S      what the replicas are in (default both, in turn)
  --peer litestream   tortures the real Litestream instead, in folders
  --keep         keeps the databases, replicas and logs of those that held too
  --json         prints the report as JSON`;

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    minutes: { type: "string" },
    rounds: { type: "string" },
    parallel: { type: "string", default: "2" },
    store: { type: "string", default: "both" },
    peer: { type: "string" },
    keep: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

function numberOf(name: "seed" | "minutes" | "rounds" | "parallel"): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) {
    console.error(`--${name} is a number, not "${text}"\n\n${USAGE}`);
    process.exit(2);
  }
  return value;
}

interface Plan {
  readonly seed: number;
  readonly roundsMax: number;
  readonly parallel: number;
  readonly contender: Contender;
  readonly store: string;
  readonly signal: AbortSignal;
}

function readPlan(): Plan {
  const { store, peer } = values;
  const isKnown =
    ["folder", "bucket", "both"].includes(store) && [undefined, "litestream"].includes(peer);
  if (values.help || !isKnown) {
    console.error(USAGE);
    process.exit(values.help ? 0 : 2);
  }
  const rounds = numberOf("rounds");
  const minutes = numberOf("minutes") ?? (rounds === undefined ? 5 : 24 * 60);
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  process.once("SIGTERM", () => stop.abort());
  return {
    seed: numberOf("seed") ?? Math.floor(Date.now() / 1_000) % 1_000_000,
    roundsMax: rounds ?? Number.POSITIVE_INFINITY,
    parallel: Math.max(1, numberOf("parallel") ?? 2),
    contender: peer === "litestream" ? "litestream" : "eddy",
    store: peer === "litestream" ? "folder" : store,
    signal: AbortSignal.any([stop.signal, AbortSignal.timeout(minutes * 60_000)]),
  };
}

/** Runs series beside each other until the plan is fulfilled. */
async function torture(
  plan: Plan,
  folder: string,
  r2: LocalR2 | undefined,
): Promise<SeriesReport[]> {
  const reports: SeriesReport[] = [];
  let begun = 0;
  let nextSeed = plan.seed;
  const work = async () => {
    while (begun < plan.roundsMax && !plan.signal.aborted) {
      const rounds = Math.min(ROUNDS_PER_SERIES, plan.roundsMax - begun);
      begun += rounds;
      const seed = nextSeed++;
      const useBucket = r2 && (plan.store === "bucket" || seed % 2 === 1);
      const bucket = useBucket ? await UnreliableBucket.start(r2) : undefined;
      const { contender, signal } = plan;
      const options = { seed, rounds, contender, bucket, signal, keep: values.keep };
      const report = await runSeries({ ...options, folder: join(folder, String(seed)) });
      await bucket?.close();
      reports.push(report);
      if (!values.json) printSeries(report, plan, folder);
    }
  };
  await Promise.all(Array.from({ length: plan.parallel }, work));
  return reports;
}

function printSeries(report: SeriesReport, { contender, store }: Plan, folder: string): void {
  const { seed, rounds, commits, txids, setting, failure, ownEnds } = report;
  const ends =
    Object.keys(ownEnds).length > 0 ? `, ended by itself ${JSON.stringify(ownEnds)}` : "";
  const verdict = failure === undefined ? "held" : "FAILED";
  console.log(
    `seed ${seed}: ${verdict}, ${rounds} rounds, ${commits} commits, ${txids} TXIDs; ${setting}${ends}`,
  );
  if (failure === undefined) return;
  const peer = contender === "eddy" ? "" : ` --peer ${contender}`;
  console.log(
    `${failure}\n  kept in ${join(folder, String(seed))}; again with: npm run torture -- --seed ${seed} --rounds ${ROUNDS_PER_SERIES} --parallel 1 --store ${store}${peer}`,
  );
}

const plan = readPlan();
const startedMs = performance.now();
const folder = mkdtempSync(join(tmpdir(), "eddy-torture-"));
if (!values.json) console.log(`seed ${plan.seed}; in ${folder}`);
const r2 = plan.store === "folder" ? undefined : await startLocalR2();
const reports = await torture(plan, folder, r2);
await r2?.close();
const failed = reports.filter(({ failure }) => failure !== undefined);
const sum = (count: (report: SeriesReport) => number) =>
  reports.reduce((total, report) => total + count(report), 0);
const summary = {
  seed: plan.seed,
  series: reports.length,
  rounds: sum(({ rounds }) => rounds),
  commits: sum(({ commits }) => commits),
  txids: sum(({ txids }) => txids),
  failures: failed.map(({ seed, failure }) => ({ seed, failure })),
  seconds: Math.round((performance.now() - startedMs) / 1_000),
};
if (values.json) console.log(JSON.stringify(summary, undefined, 2));
else {
  console.log(
    `${summary.rounds} rounds on ${summary.series} databases, ${summary.commits} commits, ${summary.txids} TXIDs, ${summary.seconds} s: ${failed.length === 0 ? "nothing was lost" : `${failed.length} databases FAILED`}`,
  );
}
if (failed.length === 0 && !values.keep) rmSync(folder, { recursive: true, force: true });
process.exit(failed.length === 0 ? 0 : 1);
