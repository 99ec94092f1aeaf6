#!/usr/bin/env node
/** `eddy`: the command line. Here arguments come in, and errors end. */
import { readFileSync } from "node:fs";
import { Command, CommanderError, Option } from "commander";
import { isReplicaError } from "../shared/errors.ts";
import { ltxCommand, type LtxFlags } from "./commands/ltx.ts";
import { replicateCommand, type ReplicateFlags } from "./commands/replicate.ts";
import { restoreCommand, type RestoreFlags } from "./commands/restore.ts";
import { EXIT_DONE, EXIT_USAGE, exitCodeOf } from "./exit-code.ts";
import { normalizeArguments } from "./terminal/arguments.ts";
import { printJson, printLine } from "./terminal/output.ts";

const URLS = `
Replica URLs:
  r2://ACCOUNT_ID/bucket/path                               Cloudflare R2
  s3://bucket/path?endpoint=https://…&region=…              any S3 store: R2, MinIO, B2, Tigris, AWS
  file:///var/backups/app                                   a folder

Credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or LITESTREAM_ in place of AWS_.`;

const EXIT_CODES = `
Exit codes: 0 done, 1 failure, 2 usage or configuration, 3 that moment is not available, 4 corrupt,
5 another writer, 130 interrupted.`;

/** Fires on the first Ctrl-C; the second one ends the process at once. */
function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(130);
      controller.abort(name);
    });
  }
  return controller.signal;
}

function version(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

function buildProgram(signal: AbortSignal): Command {
  const program = new Command("eddy")
    .description("Ships every commit of a SQLite database to R2, and brings back any moment of it.")
    .version(version(), "-V, --version", "print the version")
    .showSuggestionAfterError()
    .showHelpAfterError("(eddy --help shows what there is)")
    .exitOverride()
    .addHelpText("after", `${URLS}\n${EXIT_CODES}`);
  addReplicate(program, signal);
  addRestore(program, signal);
  addLtx(program, signal);
  program
    .command("version")
    .description("print the version")
    .action(() => printLine(version()));
  return program;
}

function addReplicate(program: Command, signal: AbortSignal): void {
  program
    .command("replicate")
    .description("ship every commit of a database to a replica, until stopped")
    .argument("<database>", "the SQLite file; the application goes on using it")
    .argument("<url>", "the replica")
    .option("--once", "ship what is committed now, and end")
    .option(
      "--sync-interval <duration>",
      "steady writing is shipped as one file in so long; the first 30 commits after quiet go at once (default: 1s)",
    )
    .option("--json", "print events as JSON, one a line")
    .option("--verbose", "say of every TXID when it is in the store")
    .addHelpText(
      "after",
      `${URLS}

Examples:
  eddy replicate /data/app.db r2://ACCOUNT_ID/eddy/app.db
  eddy replicate /data/app.db file:///var/backups/app --once

Ctrl-C ships what is left first; a second Ctrl-C ends at once. The staging directory
.NAME-litestream beside the database keeps what the store does not have yet.`,
    )
    .action((database: string, url: string, flags: ReplicateFlags) =>
      replicateCommand(database, url, flags, signal),
    );
}

function addRestore(program: Command, signal: AbortSignal): void {
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
    .addOption(new Option("--parallelism <n>", "accepted for Litestream's sake").hideHelp())
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

function addLtx(program: Command, signal: AbortSignal): void {
  program
    .command("ltx")
    .description("list the LTX files of a replica")
    .argument("<url>", "the replica")
    .option("--level <level>", "0 to 9, or all", "0")
    .option("--json", "print them as JSON")
    .addHelpText("after", `\nExample:\n  eddy ltx r2://ACCOUNT_ID/eddy/app.db --level all`)
    .action((url: string, flags: LtxFlags) => ltxCommand(url, flags, signal));
}

function printError(error: unknown, asJson: boolean): void {
  const message = isReplicaError(error) ? error.message : String((error as Error).stack ?? error);
  if (asJson && isReplicaError(error)) {
    printJson({ error: message, code: error.code, ...error.details });
    return;
  }
  process.stderr.write(`eddy: ${message}\n`);
}

async function main(argv: readonly string[]): Promise<number> {
  const normalized = normalizeArguments(argv);
  try {
    await buildProgram(interruptSignal()).parseAsync(normalized, { from: "user" });
    return EXIT_DONE;
  } catch (error) {
    // Commander has printed its own sentence, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_DONE : EXIT_USAGE;
    printError(error, normalized.includes("--json"));
    return exitCodeOf(error);
  }
}

// Not by running out: SQLite would then close the source as its last user, and remove the log that a
// restart resumes by.
process.exit(await main(process.argv.slice(2)));
