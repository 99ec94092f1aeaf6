import {
  configOf,
  override,
  type ConfigFlags,
  type OverrideFlags,
} from "../config/command-line.ts";
import type { Config, LogLevel } from "../config/config.ts";
import { LOG_LEVELS } from "../config/read-config.ts";
import { withCommand } from "../exec/with-command.ts";
import { Fleet, type FleetOptions } from "../fleet/fleet.ts";
import { messageOf, type FleetDatabase } from "../fleet/fleet-database.ts";
import type { ReplicationEvent } from "../sync/events.ts";
import { openLog, type Log } from "../terminal/log.ts";
import { printJson, usageError } from "../terminal/output.ts";
import { megabytes } from "../terminal/progress.ts";
import { Option, type Command } from "commander";
import { URLS } from "../terminal/help.ts";

/** Options of `eddy replicate` as the command line gives them. */
interface ReplicateFlags extends ConfigFlags, OverrideFlags {
  readonly once?: boolean;
  readonly json?: boolean;
  readonly verbose?: boolean;
  readonly logLevel?: LogLevel;
}

/** Makes `eddy replicate` known to the command line. */
export function addReplicate(program: Command, signal: AbortSignal): void {
  program
    .command("replicate")
    .description("ship every commit of one or many databases to their replicas, until stopped")
    .argument("[database]", "the SQLite file; the application goes on using it")
    .argument("[url]", "the replica; without both, the configuration file says what is replicated")
    .option("--config <path>", "the configuration file ($LITESTREAM_CONFIG, /etc/litestream.yml)")
    .option("--no-expand-env", "take $VARIABLES in the configuration file as they stand")
    .option("--once", "ship what is committed now, and end")
    .option("--exec <command>", "run a command beside it, and end with it and its exit code")
    .option(
      "--restore-if-db-not-exists",
      "restore a database that is not there from its replica first",
    )
    .option(
      "--sync-interval <duration>",
      "steady writing is shipped as one file in so long; the first 30 commits after quiet go at once (default: 1s)",
    )
    .option(
      "--no-lease",
      "take no lease in the store (lock.json): for stores without conditional writes; the path must have one writer",
    )
    .addOption(
      new Option("--log-level <level>", "what is less important is not said").choices(LOG_LEVELS),
    )
    .option("--json", "print events as JSON, one a line")
    .option("--verbose", "say of every TXID when it is in the store: --log-level debug")
    .addHelpText(
      "after",
      `${URLS}

Examples:
  eddy replicate /data/app.db r2://ACCOUNT_ID/eddy/app.db
  eddy replicate /data/app.db file:///var/backups/app --once
  eddy replicate --config litestream.yml
  eddy replicate --restore-if-db-not-exists --exec "node server.js" /data/app.db s3://…

Ctrl-C ships what is left first; a second Ctrl-C ends at once. The staging directory
.NAME-litestream beside the database keeps what the store does not have yet.`,
    )
    .action((database: string | undefined, url: string | undefined, flags: ReplicateFlags) =>
      replicateCommand({ database, url }, flags, signal),
    );
}

/**
 * `eddy replicate`: ships every commit until it is told to stop. One database that is named with its URL
 * ends the command by its first error; the databases of a file are tried again.
 *
 * @throws {ReplicaError} `BAD_CONFIG`; `R2_ERROR` when it had to stop with commits that are not in the store yet.
 */
async function replicateCommand(
  named: { readonly database: string | undefined; readonly url: string | undefined },
  flags: ReplicateFlags,
  signal: AbortSignal,
): Promise<void> {
  const config = override(configOf(named, flags, process.env), flags);
  if (flags.once && config.exec !== undefined) {
    throw usageError(
      "--once and a command to execute exclude each other: leave one of the two out",
    );
  }
  refuseNothing(config);
  const log = await logOf(config, flags);
  for (const notice of config.notices) log("warn", notice);
  const isFromFile = named.database === undefined;
  const { exec } = config;
  // Once a command runs, it is not ended for what may pass; before that it is not begun.
  let isRunning = false;
  const fleet = new Fleet({
    config,
    env: process.env,
    retries: () => isFromFile || isRunning,
    // A command that is executed may be the one that makes it.
    waitsForFiles: isFromFile || exec !== undefined,
    ...reporting(log, { asJson: flags.json ?? false, isFromFile }),
  });
  if (flags.once) return await fleet.once(signal);
  // The control socket (config.socket), metrics (config.metricsAddress) and heartbeat (config.heartbeat) of
  // `fleet` belong here: they begin before it runs, and end after it.
  if (exec === undefined) return await fleet.run(signal);
  process.exitCode = await withCommand(exec, signal, async (stop, begin) => {
    await fleet.run(stop, () => {
      isRunning = true;
      begin();
    });
  });
}

/** @throws {ReplicaError} `BAD_CONFIG` when there is nothing to do, nor ever will be. */
function refuseNothing({ databases, folders, socket }: Config): void {
  if (databases.length + folders.length > 0 || socket.isEnabled) return;
  throw usageError("the configuration names no database: add one under dbs");
}

async function logOf({ logging }: Config, flags: ReplicateFlags): Promise<Log> {
  const asked = flags.verbose ? "debug" : flags.logLevel;
  const fromEnvironment = LOG_LEVELS.find(
    (level) => level === process.env["LOG_LEVEL"]?.toLowerCase(),
  );
  // A daemon's log is read by machines, where nobody looks at it as it comes.
  const isForMachines = !flags.once && !process.stderr.isTTY;
  return await openLog({
    level: asked ?? fromEnvironment ?? logging.level ?? "info",
    type: logging.type ?? (isForMachines ? "json" : "text"),
    fd: logging.stderr === false && !flags.json ? 1 : 2,
  });
}

/** Tells what happens to whoever reads it: as events on stdout, or in the log. */
function reporting(
  log: Log,
  { asJson, isFromFile }: { readonly asJson: boolean; readonly isFromFile: boolean },
): Pick<FleetOptions, "onEvent" | "onNotice" | "onFailure"> {
  const about = ({ path }: FleetDatabase, sentence: string) =>
    isFromFile && !sentence.includes(path) ? `${path}: ${sentence}` : sentence;
  return {
    onEvent(database, event) {
      if (asJson) return printJson({ ...event, db: database.path });
      printEvent(event, database.replicaUrl, (sentence) =>
        log(levelOf(event), about(database, sentence), { ...event, db: database.path }),
      );
    },
    onNotice: (text) => log("info", text),
    onFailure(database, error, retryMs) {
      // It is the command's own error then, and told when it ends.
      if (!isFromFile && retryMs === undefined) return;
      const next = retryMs === undefined ? "" : `. Next try in ${retryMs} ms`;
      log("error", about(database, messageOf(error)) + next, { db: database.path });
    },
  };
}

function levelOf(event: ReplicationEvent): LogLevel {
  if ("message" in event) return "warn";
  return event.event === "uploaded" ? "debug" : "info";
}

function printEvent(
  event: ReplicationEvent,
  url: string,
  printNotice: (text: string) => void,
): void {
  switch (event.event) {
    case "started":
      if (event.switched_to_wal) printNotice(`${event.db} is in WAL mode now; it was not before`);
      return printNotice(
        `replicating ${event.db} to ${url}${event.txid === null ? "" : `, where TXID ${event.txid} is the newest`}`,
      );
    case "staged":
      if (event.image === null) return;
      return printNotice(
        `shipping the whole database as TXID ${event.txid}, ${megabytes(event.bytes)} MB: ${event.image}`,
      );
    case "compared":
      return printNotice(
        `compared ${event.pages} pages with what was shipped: ${event.differing === 0 ? "none differs" : `shipping only those that differ, ${event.differing}`} (${event.reason})`,
      );
    case "uploaded":
      return printNotice(
        `TXID ${event.txid} is in the store: ${event.bytes} bytes, ${event.ms} ms`,
      );
    case "store-unavailable":
      return printNotice(
        `the store does not take TXIDs: ${event.message}. ${event.waiting} wait in the staging directory; next try in ${event.retry_ms} ms`,
      );
    case "disk-full":
      return printNotice(
        `${event.message}; commits stay in the log, next try in ${event.retry_ms} ms`,
      );
    case "resumed":
      return printNotice(`there is room again, after ${Math.round(event.paused_ms / 1000)} s`);
    case "adopted":
      return printNotice(
        `${event.reason}: going on after ${event.txid === null ? "an empty replica" : `TXID ${event.txid}`}, the newest in the store`,
      );
    case "compaction-failed":
      return printNotice(`level ${event.level} could not be written: ${event.message}`);
    case "snapshot-written":
      return printNotice(`a snapshot of TXID ${event.txid} is in the store: ${event.bytes} bytes`);
    case "snapshot-failed":
      return printNotice(
        `no snapshot could be written: ${event.message}; next try in ${event.retry_ms} ms`,
      );
    case "retention-refused":
      return printNotice(
        `old files stay in the store, because it does not allow to delete them: ${event.message}`,
      );
    case "retention-failed":
      return printNotice(`old files could not be deleted: ${event.message}`);
    case "retention-deleted":
    case "compacted":
    case "checkpointed":
      return undefined;
    case "stopped":
      return printNotice(
        event.uploaded_txid === null
          ? "stopped; nothing is in the store"
          : `stopped; TXID ${event.uploaded_txid} is safely in the store`,
      );
  }
}
