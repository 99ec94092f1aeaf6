import {
  configOf,
  override,
  type ConfigFlags,
  type OverrideFlags,
} from "../config/command-line.ts";
import { LOG_LEVELS, type Config, type LogLevel } from "../config/config.ts";
import { startServices } from "../control/services.ts";
import type { Beat } from "../control/heartbeat.ts";
import { withCommand } from "../exec/with-command.ts";
import { Fleet, type FleetOptions } from "../fleet/fleet.ts";
import { printEvent } from "./print-event.ts";
import { messageOf, type FleetDatabase } from "../fleet/fleet-database.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { ReplicationEvent } from "../sync/events.ts";
import { openLog, type Log } from "../terminal/log.ts";
import { printJson, usageError } from "../terminal/output.ts";
import { ReplicationProgress } from "../terminal/replication-progress.ts";
import { Option, type Command } from "commander";
import { URLS } from "../terminal/help.ts";

/** Options of `eddy replicate` as the command line gives them. */
interface ReplicateFlags extends ConfigFlags, OverrideFlags {
  readonly once?: boolean;
  readonly forceSnapshot?: boolean;
  readonly enforceRetention?: boolean;
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
    .option("--force-snapshot", "with --once: write a snapshot too")
    .option("--enforce-retention", "with --once: delete what retention allows to be deleted")
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
      new Option(
        "--page-codec <codec>",
        "how pages are compressed; frame for readers older than Litestream 0.5.16",
      ).choices(["block", "frame"]),
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
  const config = override(await configOf(named, flags, process.env), flags);
  if (flags.once && config.exec !== undefined) {
    throw usageError(
      "--once and a command to execute exclude each other: leave one of the two out",
    );
  }
  if (!flags.once && (flags.forceSnapshot || flags.enforceRetention)) {
    throw usageError("--force-snapshot and --enforce-retention go with --once");
  }
  refuseNothing(config);
  const log = await logOf(config, flags);
  for (const notice of config.notices) log("warn", notice);
  const isFromFile = named.database === undefined;
  const { exec } = config;
  // Once a command runs, it is not ended for what may pass; before that it is not begun.
  let isRunning = false;
  const metrics = await metricsOf(config, () => fleet.databases());
  const { onEvent, ...told } = reporting(log, { asJson: flags.json ?? false, isFromFile });
  const fleet: Fleet = new Fleet({
    config,
    env: process.env,
    retries: () => isFromFile || isRunning,
    // A command that is executed may be the one that makes it.
    waitsForFiles: isFromFile || exec !== undefined,
    ...told,
    meter: metrics && ((replica, path) => metrics.meter(replica, path)),
    onEvent(database, event) {
      metrics?.observe(event, database.path);
      onEvent(database, event);
    },
  });
  if (flags.once) return await fleet.once(signal, flags);
  const onBeat = (beat: Beat) => {
    if (beat.kind === "withheld") log("warn", `no heartbeat was sent: ${beat.reason}`);
    if (beat.kind === "failed") log("warn", beat.message);
  };
  await using _ = await startServices({ config, target: fleet, metrics, onBeat });
  if (exec === undefined) return await fleet.run(signal);
  process.exitCode = await withCommand(exec, signal, async (stop, begin) => {
    await fleet.run(stop, () => {
      isRunning = true;
      begin();
    });
  });
}

/** Undefined where nobody is to see them: what counts them takes 20 MB of memory. */
async function metricsOf(
  { metricsAddress }: Config,
  databases: () => readonly FleetDatabase[],
): Promise<Metrics | undefined> {
  if (metricsAddress === undefined) return undefined;
  const { Metrics: Counted } = await import("../metrics/metrics.ts");
  return new Counted({ databases, now: () => performance.now() });
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
  const progress = new ReplicationProgress(process.stderr);
  const about = ({ path }: FleetDatabase, sentence: string) =>
    isFromFile && !sentence.includes(path) ? `${path}: ${sentence}` : sentence;
  return {
    onEvent(database, event) {
      if (asJson) return printJson({ ...event, db: database.path });
      if (event.event === "progress") {
        return progress.update(event, isFromFile ? database.path : undefined);
      }
      printEvent(event, database.replicaUrl, (sentence) => {
        progress.end();
        log(levelOf(event), about(database, sentence), { ...event, db: database.path });
      });
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
  return event.event === "uploaded" || event.event === "snapshot-written" ? "debug" : "info";
}
