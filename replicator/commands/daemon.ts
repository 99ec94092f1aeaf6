import { printJson, printLine } from "../terminal/output.ts";
import type { Command } from "commander";
import {
  addControlOptions,
  ask,
  listOf,
  numberOf,
  textOf,
  type ControlFlags,
} from "./control-options.ts";

/** Makes `eddy info` and `eddy list` known to the command line. */
export function addDaemon(program: Command, signal: AbortSignal): void {
  const info = program.command("info").description("say which replicator runs, and since when");
  addControlOptions(info, 10).action((flags: ControlFlags) => infoCommand(flags, signal));
  const list = program
    .command("list")
    .description("list the databases of a running replicator, and what it does with each");
  addControlOptions(list, 10).action((flags: ControlFlags) => listCommand(flags, signal));
}

/** `eddy info`. JSON as Litestream's. */
async function infoCommand(flags: ControlFlags, signal: AbortSignal): Promise<void> {
  const reply = await ask({ path: "/info" }, flags, signal);
  const info = {
    version: textOf(reply, "version"),
    pid: numberOf(reply, "pid"),
    uptime_seconds: numberOf(reply, "uptime_seconds"),
    started_at: textOf(reply, "started_at"),
    database_count: numberOf(reply, "database_count"),
  };
  if (flags.json) return printJson(info);
  printLine(
    `version ${info.version}, process ${info.pid}, running for ${info.uptime_seconds} s since ${info.started_at}, databases: ${info.database_count}`,
  );
}

/** `eddy list`. JSON as Litestream's; `error` is ours. */
async function listCommand(flags: ControlFlags, signal: AbortSignal): Promise<void> {
  const reply = await ask({ path: "/list" }, flags, signal);
  const databases = listOf(reply, "databases");
  if (flags.json) return printJson({ databases });
  if (databases.length === 0) return printLine("no databases");
  for (const database of databases) {
    const { last_sync_at: lastSyncAt, error } = database;
    const since =
      typeof lastSyncAt === "string" ? `all in the store at ${lastSyncAt}` : "nothing stored yet";
    const why = typeof error === "string" ? `: ${error}` : "";
    printLine(`${textOf(database, "path")}  ${textOf(database, "status")}, ${since}${why}`);
  }
}
