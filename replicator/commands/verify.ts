import { existsSync } from "node:fs";
import type { Command } from "commander";
import { ReplicaError, isReplicaError } from "../../shared/errors.ts";
import { formatInstant } from "../../shared/instant.ts";
import { formatTxid } from "../../shared/ltx/txid.ts";
import { formatReplicaPrefix, type Replica } from "../../shared/replica/ltx-key.ts";
import { describeUnchecked } from "../restore/check-integrity.ts";
import type { ConfigFlags } from "../config/command-line.ts";
import { PARALLELISM_DEFAULT } from "../restore/decode-files.ts";
import { URLS } from "../terminal/help.ts";
import { printJson, printLine } from "../terminal/output.ts";
import { megabytes, progressLine, type ProgressLine } from "../terminal/progress.ts";
import type { LevelGap } from "../verify/level-report.ts";
import { verifyReplica, type VerifyReport } from "../verify/verify-replica.ts";
import { addConfigOptions, namedReplica } from "./replica-argument.ts";
import { parallelismOf, targetOf } from "./restore-flags.ts";

const EXPLANATION = `
What it does: reads every LTX file of all levels and checks every checksum; names TXIDs that a level
lacks; restores to a temporary file (TMPDIR chooses where) and runs SQLite's full integrity check on it.

With --db it also holds the restored file against the live database, page by page, where the staging
directory beside the database says that it is at the same TXID. A read-only connection copies the live
database within one read transaction by SQLite's own backup; the application and the replicator go on.
What SQLite never reads is left out (leaves of the free list), and so are counters on page 1. A
difference counts only when the log shows that nothing was committed after that TXID.

Exit codes: 4 when a file is damaged, or the databases differ; 3 when a TXID that is needed is in no file.

Examples:
  eddy verify r2://ACCOUNT_ID/eddy/app.db
  eddy verify file:///var/backups/app --db /data/app.db --record`;

interface VerifyFlags extends ConfigFlags {
  readonly db?: string;
  readonly txid?: string;
  readonly timestamp?: string;
  readonly parallelism?: string;
  readonly record?: boolean;
  readonly json?: boolean;
}

/** Makes `eddy verify` known to the command line. */
export function addVerify(program: Command, signal: AbortSignal): void {
  const command = program
    .command("verify")
    .description("prove that a replica is whole and can be restored")
    .argument("<url>", "the replica's URL, or a database of the configuration")
    .option("--db <path>", "the live database, to be compared with; one of the configuration is it")
    .option("--txid <txid>", "restore this transaction: 16 hex digits, or txid:42")
    .option("--timestamp <moment>", "restore this moment: 2026-11-24T10:00:00Z, -5m")
    .option(
      "--parallelism <n>",
      `read so many files side by side (default: ${PARALLELISM_DEFAULT})`,
    )
    .option("--record", "keep the result beside the replica, as eddy/verify/<txid>.json")
    .option("--json", "print the result as JSON; after a failure, the error on a second line");
  addConfigOptions(command)
    .addHelpText("after", `${URLS}\n${EXPLANATION}`)
    .action((name: string, flags: VerifyFlags) => verifyCommand(name, flags, signal));
}

async function verifyCommand(name: string, named: VerifyFlags, signal: AbortSignal): Promise<void> {
  const { url, databasePath, stagingFolder, open } = await namedReplica(name, named);
  const isThere = databasePath !== undefined && existsSync(databasePath);
  const flags = { ...(isThere && { db: databasePath }), ...named };
  const target = targetOf(flags);
  const parallelism = parallelismOf(flags.parallelism);
  const writing = flags.record ?? false;
  const replica = open({ writing, signal });
  const startedMs = performance.now();
  const lines = new Map<string, ProgressLine>();
  const endLines = () => {
    for (const line of lines.values()) line.end();
  };
  try {
    const report = await verifyReplica(replica, {
      target,
      databasePath: flags.db,
      ...(flags.db === databasePath && { stagingFolder }),
      parallelism,
      signal,
      onProgress(part, progress) {
        if (!lines.has(part)) {
          endLines();
          lines.set(part, progressLine(part, process.stderr));
        }
        lines.get(part)?.update(progress);
      },
    });
    endLines();
    const durationMs = Math.round(performance.now() - startedMs);
    const result = { replica: url, ...toJson(report, flags), duration_ms: durationMs };
    if (flags.record) await record(replica, report, result);
    if (flags.json) printJson(result);
    else printReport(report, flags, durationMs);
    refuseUnlessSound(report, flags);
  } finally {
    endLines();
  }
}

function toJson(report: VerifyReport, flags: VerifyFlags) {
  const { restored, live } = report;
  return {
    ok: problemOf(report, flags) === undefined,
    files: report.files,
    size_bytes: report.sizeBytes,
    levels: report.levels.map(({ level, files, sizeBytes, minTxid, maxTxid, gaps }) => ({
      level,
      files,
      size_bytes: sizeBytes,
      min_txid: formatTxid(minTxid),
      max_txid: formatTxid(maxTxid),
      gaps: gaps.map(({ first, last, isBridged }) => ({
        min_txid: formatTxid(first),
        max_txid: formatTxid(last),
        bridged: isBridged,
      })),
    })),
    damaged: report.damaged,
    gone: report.gone,
    restored: isReplicaError(restored)
      ? { error: restored.message, code: restored.code }
      : {
          txid: formatTxid(restored.txid),
          timestamp: formatInstant(restored.timestampMs),
          exact: restored.exact,
          size_bytes: restored.sizeBytes,
          files: restored.files,
          integrity_check: "full",
          unchecked_tables: restored.unchecked,
        },
    live: flags.db === undefined ? null : { db_path: flags.db, ...live },
  };
}

function printReport(report: VerifyReport, flags: VerifyFlags, durationMs: number): void {
  const { restored, live } = report;
  for (const { level, files, sizeBytes, minTxid, maxTxid, gaps } of report.levels) {
    const size = `${String(files).padStart(6)} files  ${megabytes(sizeBytes).padStart(9)} MB`;
    printLine(`level ${level}  ${size}  TXID ${formatTxid(minTxid)} to ${formatTxid(maxTxid)}`);
    for (const gap of gaps) printLine(`         lacks ${describeGap(gap)}`);
  }
  for (const { message } of report.damaged) printLine(`DAMAGED ${message}`);
  if (report.gone.length > 0) printLine(`${report.gone.length} files were replaced meanwhile`);
  if (isReplicaError(restored)) printLine(`NOT RESTORED ${restored.message}`);
  else {
    const at = `TXID ${formatTxid(restored.txid)}, ${formatInstant(restored.timestampMs)}`;
    const size = `${megabytes(restored.sizeBytes)} MB from ${restored.files} files`;
    printLine(
      `restored ${at}: ${size}; SQLite's integrity check is ok${describeUnchecked(restored.unchecked)}`,
    );
  }
  if (live?.state === "equal") printLine(`${flags.db} is equal, page for page`);
  if (live?.state === "not-comparable") printLine(`${flags.db} was not compared: ${live.reason}`);
  printLine(
    `${report.files} files, ${megabytes(report.sizeBytes)} MB verified in ${durationMs} ms`,
  );
}

function describeGap({ first, last, isBridged }: LevelGap): string {
  const txids = first === last ? formatTxid(first) : `${formatTxid(first)} to ${formatTxid(last)}`;
  return `TXID ${txids}${isBridged ? ", which other levels hold" : ", which NO FILE holds"}`;
}

function refuseUnlessSound(report: VerifyReport, flags: VerifyFlags): void {
  const problem = problemOf(report, flags);
  if (problem) throw problem;
}

/** The worst that is wrong; undefined when all is well. */
function problemOf(report: VerifyReport, flags: VerifyFlags): ReplicaError | undefined {
  const { damaged, restored, live, levels } = report;
  const [first] = damaged;
  if (first) {
    const others = damaged.length === 1 ? "" : `, and ${damaged.length - 1} more files`;
    return new ReplicaError("CORRUPT_PAGE", `${first.message}${others}`);
  }
  if (isReplicaError(restored)) return restored;
  if (live?.state === "differs") {
    const { count, pgno } = live.difference;
    const sentence = `${flags.db} and the replica differ at TXID ${formatTxid(restored.txid)} in ${count} pages, first in page ${pgno}: take a new image with \`eddy reset\` and \`eddy replicate\``;
    return new ReplicaError("CORRUPT_PAGE", sentence);
  }
  const gap = levels.flatMap(({ gaps }) => gaps).find(({ isBridged }) => !isBridged);
  return gap && new ReplicaError("REPLICA_GAP", `the replica lacks ${describeGap(gap)}`);
}

/** Evidence for whoever asks later: a small object beside the replica, which Litestream passes over. */
async function record(replica: Replica, report: VerifyReport, result: object): Promise<void> {
  const newest = report.levels.reduce(
    (max, { maxTxid }) => (maxTxid > max ? maxTxid : max),
    report.levels[0].maxTxid,
  );
  const txid = isReplicaError(report.restored) ? newest : report.restored.txid;
  const key = `${formatReplicaPrefix(replica)}eddy/verify/${formatTxid(txid)}.json`;
  const verifiedAt = new Date().toISOString();
  const body = `${JSON.stringify({ verified_at: verifiedAt, ...result })}\n`;
  await replica.store.put(key, new TextEncoder().encode(body));
}
