import { existsSync } from "node:fs";
import { basename } from "node:path";
import { isReplicaError } from "../../shared/errors.ts";
import { formatLtxFileName } from "../../shared/ltx/file-name.ts";
import { formatTxid } from "../../shared/ltx/txid.ts";
import { loadPlan } from "../../shared/replica/load-plan.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { parseRef } from "../../shared/replica/ref.ts";
import type { RestoreTarget } from "../../shared/replica/restore-plan.ts";
import type { IntegrityCheck } from "../restore/check-integrity.ts";
import { PARALLELISM_DEFAULT } from "../restore/decode-files.ts";
import { restoreDatabase } from "../restore/restore-database.ts";
import { openReplica } from "../storage/open-store.ts";
import { megabytes, progressLine } from "../terminal/progress.ts";
import { printJson, printLine, usageError } from "../terminal/output.ts";
import { Option, type Command } from "commander";
import { URLS } from "../terminal/help.ts";

/** Options of `eddy restore` as the command line gives them. */
interface RestoreFlags {
  readonly output?: string;
  readonly txid?: string;
  readonly timestamp?: string;
  readonly integrityCheck: string;
  readonly force?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
  readonly ifDbNotExists?: boolean;
  readonly ifReplicaExists?: boolean;
  readonly parallelism: string;
}

/** Makes `eddy restore` known to the command line. */
export function addRestore(program: Command, signal: AbortSignal): void {
  program
    .command("restore")
    .description("write a database file as it was, at its latest transaction or at any moment")
    .argument("<url>", "the replica")
    .option("-o, --output <path>", "the file to write; it must not exist")
    .option("--txid <txid>", "as of this transaction: 16 hex digits, or txid:42")
    .option("--timestamp <moment>", "as of this moment: 2026-11-24T10:00:00Z, -5m, '2 hours ago'")
    .addOption(
      new Option("--integrity-check <kind>", "have SQLite check the result before it gets its name")
        .choices(["none", "quick", "full"])
        .default("quick"),
    )
    .option("--force", "replace the output file if there is one")
    .option("--dry-run", "show which LTX files would be used, and write nothing")
    .option("--if-db-not-exists", "do nothing, successfully, when the output file exists")
    .option("--if-replica-exists", "do nothing, successfully, when there is no replica")
    .option(
      "--parallelism <n>",
      "read so many LTX files, or ranges of a large one, side by side",
      String(PARALLELISM_DEFAULT),
    )
    .option("--json", "print the result as JSON")
    .addHelpText(
      "after",
      `${URLS}

Examples:
  eddy restore r2://ACCOUNT_ID/eddy/app.db -o app.db
  eddy restore file:///var/backups/app -o yesterday.db --timestamp -1d
  eddy restore file:///var/backups/app -o before.db --txid 00000000000004d2`,
    )
    .action((url: string, flags: RestoreFlags) => restoreCommand(url, flags, signal));
}

/** `eddy restore URL`: a database file out of a replica. Settles when it is done; errors are thrown. */
async function restoreCommand(
  url: string,
  flags: RestoreFlags,
  signal: AbortSignal,
): Promise<void> {
  const target = targetOf(flags);
  const integrityCheck = integrityCheckOf(flags.integrityCheck);
  const parallelism = parallelismOf(flags.parallelism);
  const replica = openReplica(url, { env: process.env, writing: false, signal });
  if (flags.dryRun) return await printPlan(replica, url, target, flags, signal);
  const { output } = flags;
  if (output === undefined) throw usageError("where to? Name the file with -o PATH");
  if (flags.ifDbNotExists && existsSync(output)) {
    printLine(`${output} exists already, nothing to do`);
    return;
  }
  const startedMs = performance.now();
  const progress = progressLine("restoring", process.stderr);
  try {
    const result = await restoreDatabase(replica, {
      output,
      target,
      integrityCheck,
      force: flags.force ?? false,
      parallelism,
      signal,
      onProgress: (state) => progress.update(state),
    });
    progress.end();
    const txid = formatTxid(result.txid);
    const durationMs = Math.round(performance.now() - startedMs);
    const timestamp = new Date(result.timestampMs).toISOString();
    if (flags.json) {
      printJson({
        db_path: output,
        replica: url,
        txid,
        timestamp,
        exact: result.exact,
        size_bytes: result.sizeBytes,
        duration_ms: durationMs,
        integrity_check: integrityCheck,
      });
      return;
    }
    const coarse = result.exact ? "" : "; the replica is coarser than the moment you asked for";
    const size = `${megabytes(result.sizeBytes)} MB from ${result.files} LTX files`;
    printLine(
      `restored ${output} at TXID ${txid}, ${timestamp}: ${size} in ${durationMs} ms${coarse}`,
    );
  } catch (error) {
    progress.end();
    if (!flags.ifReplicaExists || !isReplicaError(error, "DB_NOT_FOUND")) throw error;
    printLine(`there is no replica at ${url}, nothing to do`);
  }
}

function targetOf({ txid, timestamp }: RestoreFlags): RestoreTarget {
  if (txid !== undefined && timestamp !== undefined) {
    throw usageError("a TXID and a time stamp exclude each other: give one of the two");
  }
  const nowMs = Date.now();
  if (timestamp !== undefined) {
    const target = parseRef(timestamp, nowMs);
    if (target.kind === "time") return target;
    throw usageError(`--timestamp "${timestamp}" is no instant: write 2026-11-24T10:00:00Z or -5m`);
  }
  if (txid === undefined) return { kind: "latest" };
  const target = parseRef(txid, nowMs);
  if (target.kind === "txid") return target;
  throw usageError(`--txid "${txid}" is no TXID: write its 16 hex digits, or txid:42 in decimal`);
}

function integrityCheckOf(text: string): IntegrityCheck {
  if (text === "none" || text === "quick" || text === "full") return text;
  throw usageError(`--integrity-check is none, quick or full, not "${text}"`);
}

function parallelismOf(text: string): number {
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text);
  throw usageError(`--parallelism is a number of requests, 1 to 999, not "${text}"`);
}

/** Field names as Litestream's `restore -dry-run -json` has them. */
async function printPlan(
  replica: Replica,
  url: string,
  target: RestoreTarget,
  { output, json }: RestoreFlags,
  signal: AbortSignal,
): Promise<void> {
  const plan = await loadPlan(replica, target, { signal });
  const files = plan.files.map((file) => ({
    level: file.level,
    name: formatLtxFileName(file),
    min_txid: formatTxid(file.minTxid),
    max_txid: formatTxid(file.maxTxid),
    size: file.sizeBytes,
    timestamp: new Date(file.createdAtMs).toISOString(),
  }));
  if (json) {
    printJson({
      source: "ltx",
      target_path: output ?? null,
      replica: url,
      min_txid: files[0]?.min_txid,
      max_txid: formatTxid(plan.txid),
      exact: plan.exact,
      files,
    });
    return;
  }
  for (const { level, name, size, timestamp } of files) {
    printLine(`level ${level}  ${name}  ${String(size).padStart(12)} bytes  ${timestamp}`);
  }
  const bytes = plan.files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const into = output === undefined ? "" : ` would make ${basename(output)}`;
  printLine(
    `${files.length} files, ${megabytes(bytes)} MB${into} at TXID ${formatTxid(plan.txid)}`,
  );
}
