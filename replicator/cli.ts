#!/usr/bin/env node
/** `eddy`: the command line. Here arguments come in, and errors end. */
import { Command, CommanderError } from "commander";
import { isReplicaError } from "../shared/errors.ts";
import { installCodecKernel } from "./codec-kernel.ts";
import { addDaemon } from "./commands/daemon.ts";
import { addDatabases } from "./commands/databases.ts";
import { addIndex } from "./commands/index-replica.ts";
import { addLtx } from "./commands/ltx.ts";
import { addMembership } from "./commands/membership.ts";
import { addReplicate } from "./commands/replicate.ts";
import { addReset } from "./commands/reset.ts";
import { addRestore } from "./commands/restore.ts";
import { addStatus } from "./commands/status.ts";
import { addSync } from "./commands/sync.ts";
import { addTimeline } from "./commands/timeline.ts";
import { addVerify } from "./commands/verify.ts";
import { addVersion } from "./commands/version.ts";
import { EXIT_DONE, EXIT_USAGE, exitCodeOf } from "./exit-code.ts";
import { normalizeArguments } from "./terminal/arguments.ts";
import { URLS } from "./terminal/help.ts";
import { printJson } from "./terminal/output.ts";
import { eddyVersion } from "./version.ts";

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

function buildProgram(signal: AbortSignal): Command {
  const program = new Command("eddy")
    .description("Ships every commit of a SQLite database to R2, and brings back any moment of it.")
    .version(eddyVersion(), "-V, --version", "print the version")
    .showSuggestionAfterError()
    .showHelpAfterError("(eddy --help shows what there is)")
    .exitOverride()
    .addHelpText("after", `${URLS}\n${EXIT_CODES}`);
  addReplicate(program, signal);
  addRestore(program, signal);
  addVerify(program, signal);
  addLtx(program, signal);
  addTimeline(program, signal);
  addIndex(program, signal);
  addDatabases(program);
  addStatus(program, signal);
  addSync(program, signal);
  addDaemon(program, signal);
  addMembership(program, signal);
  addReset(program);
  addVersion(program);
  return program;
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
  installCodecKernel();
  try {
    await buildProgram(interruptSignal()).parseAsync(normalized, { from: "user" });
    // A command that ended by itself, under --exec, says how.
    return Number(process.exitCode ?? EXIT_DONE);
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
