import type { Command } from "commander";
import { configOf, type ConfigFlags } from "../config/command-line.ts";
import type { DatabaseConfig } from "../config/config.ts";
import { configuredDatabases } from "../fleet/configured-databases.ts";
import { printJson, printLine, printNotice } from "../terminal/output.ts";

interface DatabasesFlags extends ConfigFlags {
  readonly json?: boolean;
}

/** Makes `eddy databases` known to the command line. */
export function addDatabases(program: Command): void {
  program
    .command("databases")
    .description("list the databases of the configuration file")
    .option("--config <path>", "the configuration file ($LITESTREAM_CONFIG, /etc/litestream.yml)")
    .option("--no-expand-env", "take $VARIABLES in the configuration file as they stand")
    .option("--json", "print the list as JSON")
    .action(databasesCommand);
}

/** `eddy databases`: the databases that `replicate` with the same file would start with. */
async function databasesCommand(flags: DatabasesFlags): Promise<void> {
  const config = await configOf({ database: undefined, url: undefined }, flags, process.env);
  for (const notice of config.notices) printNotice(notice);
  const databases = configuredDatabases(config);
  if (flags.json) printJson(databases.map(describe));
  else printTable(databases.map(describe));
}

/** `path` and `replica` are Litestream's; it does not say where the replica is. */
function describe({ path, replica }: DatabaseConfig) {
  return { path, replica: replica.kind, url: replica.url };
}

function printTable(rows: readonly ReturnType<typeof describe>[]): void {
  const width = Math.max(4, ...rows.map(({ path }) => path.length));
  printLine(`${"path".padEnd(width)}  replica  url`);
  for (const { path, replica, url } of rows) {
    printLine(`${path.padEnd(width)}  ${replica.padEnd(7)}  ${url}`);
  }
}
