import { existsSync } from "node:fs";
import { Option, type Command } from "commander";
import { isReplicaError } from "../../shared/errors.ts";
import { formatTxid } from "../../shared/ltx/txid.ts";
import { describeUnchecked, type IntegrityCheck } from "../restore/check-integrity.ts";
import { PARALLELISM_DEFAULT } from "../restore/decode-files.ts";
import {
  restoreDatabase,
  type RestoreOptions,
  type RestoreResult,
} from "../restore/restore-database.ts";
import { URLS } from "../terminal/help.ts";
import { printJson, printLine, usageError } from "../terminal/output.ts";
import { megabytes, progressLine } from "../terminal/progress.ts";
import { addConfigOptions, namedReplica } from "./replica-argument.ts";
import { parallelismOf, targetOf, type RestoreFlags } from "./restore-flags.ts";
import { followCommand } from "./restore-follow.ts";
import { isRestoreLink, restoreLinkCommand } from "./restore-link.ts";
import { printPlan } from "./restore-plan.ts";

const EXAMPLES = `
Examples:
  eddy restore r2://ACCOUNT_ID/eddy/app.db -o app.db
  eddy restore file:///var/backups/app -o yesterday.db --timestamp -1d
  eddy restore /data/app.db --config litestream.yml
  eddy restore file:///var/backups/app -o before.db --txid 00000000000004d2
  eddy restore r2://ACCOUNT_ID/eddy/app.db -o reader.db --follow
  EDDY_TOKEN=… eddy restore https://WORKER/v1/dbs/app/snapshots/latest/app.db -o app.db`;

/** Makes `eddy restore` known to the command line. */
export function addRestore(program: Command, signal: AbortSignal): void {
  const command = program
    .command("restore")
    .description("write a database file as it was, at its latest transaction or at any moment")
    .argument(
      "<url>",
      "the replica's URL, a database of the configuration, or the https:// link of a database file that a Worker serves",
    )
    .option(
      "-o, --output <path>",
      "the file to write; it must not exist. A database of the configuration is itself that file",
    )
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
      `read so many LTX files, or ranges of a large one, side by side (default: ${PARALLELISM_DEFAULT})`,
    )
    .option("-f, --follow", "then go on: keep the file up with the replica, for programs to read")
    .option("--follow-interval <duration>", "look for news so often", "1s")
    .option("--json", "print the result as JSON");
  addConfigOptions(command)
    .addHelpText("after", `${URLS}\n${EXAMPLES}`)
    .action((name: string, flags: RestoreFlags) => restoreCommand(name, flags, signal));
}

/** `eddy restore URL` or `eddy restore DB`: a database file out of a replica. Settles when it is done; errors are thrown. */
async function restoreCommand(
  name: string,
  flags: RestoreFlags,
  signal: AbortSignal,
): Promise<void> {
  const target = targetOf(flags);
  const parallelism = parallelismOf(flags.parallelism);
  const isLink = isRestoreLink(name);
  const { url, databasePath, open: openNamed } = await namedReplica(name, flags);
  if (flags.dryRun && flags.follow) throw usageError("--dry-run and --follow exclude each other");
  const open = () => openNamed({ writing: false, signal });
  const output = flags.output ?? databasePath;
  if (flags.dryRun && !isLink) {
    const named = { ...flags, ...(output !== undefined && { output }) };
    return await printPlan(open(), url, named, signal);
  }
  // An empty one comes of a variable that is not set.
  if (!output) throw usageError("where to? Name the file with -o PATH");
  if (flags.ifDbNotExists && existsSync(output) && !flags.follow) {
    printLine(`${output} exists already, nothing to do`);
    return;
  }
  const startedMs = performance.now();
  const progress = progressLine("restoring", process.stderr);
  const options = {
    output,
    target,
    integrityCheck: flags.integrityCheck as IntegrityCheck,
    force: flags.force ?? false,
    parallelism,
    signal,
    onProgress: (state) => progress.update(state),
  } satisfies RestoreOptions;
  try {
    const onRestored = () => progress.end();
    if (isLink) return await restoreLinkCommand(url, { ...options, onRestored }, flags);
    if (flags.follow) return await followCommand(open(), { ...options, onRestored }, flags);
    const result = await restoreDatabase(open(), options);
    progress.end();
    const durationMs = Math.round(performance.now() - startedMs);
    printResult(result, { ...options, url, durationMs, json: flags.json ?? false });
  } catch (error) {
    progress.end();
    if (!flags.ifReplicaExists || !isReplicaError(error, "DB_NOT_FOUND")) throw error;
    printLine(`there is no replica at ${url}, nothing to do`);
  }
}

interface ResultContext extends RestoreOptions {
  readonly url: string;
  readonly durationMs: number;
  readonly json: boolean;
}

/** JSON as Litestream's `restore -json`, and more. */
function printResult(result: RestoreResult, context: ResultContext): void {
  const { output, url, durationMs, integrityCheck, json } = context;
  const txid = formatTxid(result.txid);
  const timestamp = new Date(result.timestampMs).toISOString();
  if (json) {
    printJson({
      db_path: output,
      replica: url,
      txid,
      timestamp,
      exact: result.exact,
      size_bytes: result.sizeBytes,
      duration_ms: durationMs,
      integrity_check: integrityCheck,
      unchecked_tables: result.unchecked,
    });
    return;
  }
  const coarse = result.exact ? "" : "; the replica is coarser than the moment you asked for";
  const size = `${megabytes(result.sizeBytes)} MB from ${result.files} LTX files`;
  printLine(
    `restored ${output} at TXID ${txid}, ${timestamp}: ${size} in ${durationMs} ms${coarse}${describeUnchecked(result.unchecked)}`,
  );
}
