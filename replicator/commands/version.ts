import { printJson, printLine } from "../terminal/output.ts";
import { eddyVersion } from "../version.ts";
import type { Command } from "commander";

interface VersionFlags {
  readonly verbose?: boolean;
  readonly json?: boolean;
}

/** Makes `eddy version` known to the command line. */
export function addVersion(program: Command): void {
  program
    .command("version")
    .description("print the version")
    .option("--verbose", "and those of Node and SQLite, and the platform")
    .option("--json", "print them as JSON")
    .action(versionCommand);
}

function versionCommand({ verbose, json }: VersionFlags): void {
  const version = eddyVersion();
  const { node, sqlite = "unknown" } = process.versions;
  const platform = `${process.platform}-${process.arch}`;
  if (json) return printJson(verbose ? { version, node, sqlite, platform } : { version });
  printLine(version);
  if (verbose) printLine(`Node ${node}, SQLite ${sqlite}, ${platform}`);
}
