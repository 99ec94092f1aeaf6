import { formatInstant } from "../../shared/instant.ts";
import { formatTxid, type Txid } from "../../shared/ltx/txid.ts";
import { configOf, type ConfigFlags } from "../config/command-line.ts";
import type { DatabaseConfig, ReplicaConfig } from "../config/config.ts";
import { openConfiguredReplica, replicaOfUrl } from "../config/replica-place.ts";
import { configuredDatabases } from "../fleet/configured-databases.ts";
import { canonicalPath } from "../fleet/member-config.ts";
import { parseDuration } from "../config/duration.ts";
import { humanBytes } from "../status/human-bytes.ts";
import { readLocalStatus, type LocalStatus } from "../status/local-status.ts";
import { describePacing, pacingCost, type PacingCost } from "../status/pacing-cost.ts";
import { readReplicaStatus, type ReplicaStatus } from "../status/replica-status.ts";
import { printJson, printLine, printNotice, usageError } from "../terminal/output.ts";
import type { Command } from "commander";
import { absolute } from "./control-options.ts";

/** The replicator's default, in milliseconds. */
const SYNC_INTERVAL_MS = 1_000;

/** Options of `eddy status` as the command line gives them. */
interface StatusFlags extends ConfigFlags {
  readonly replica?: string;
  readonly remote?: boolean;
  readonly syncInterval?: string;
  readonly json?: boolean;
}

/** One database whose status is asked for. */
interface StatusSubject {
  readonly path: string;
  readonly stagingFolder?: string | undefined;
  /** Undefined: no store is asked. */
  readonly replica: ReplicaConfig | undefined;
  readonly syncIntervalMs: number;
}

interface StatusReport {
  readonly local: LocalStatus;
  readonly replica: (ReplicaStatus & { readonly url: string }) | undefined;
  readonly pacing: PacingCost | undefined;
}

/** Makes `eddy status` known to the command line. */
export function addStatus(program: Command, signal: AbortSignal): void {
  program
    .command("status")
    .description("say how far databases are replicated, without asking the replicator")
    .argument("[databases...]", "the SQLite files; without any, those of the configuration file")
    .option("--config <path>", "the configuration file ($LITESTREAM_CONFIG, /etc/litestream.yml)")
    .option("--no-expand-env", "take $VARIABLES in the configuration file as they stand")
    .option("--replica <url>", "ask this replica too how far it is (of one database)")
    .option("--remote", "ask the replicas of the configuration file how far they are")
    .option("--sync-interval <duration>", "show what this pace costs a month (default: 1s)")
    .option("--json", "print it as JSON")
    .addHelpText(
      "after",
      `
Reads the log's size, the names in the staging directory and the first 100 bytes of the database,
and takes no lock: the application and the replicator notice nothing.

Examples:
  eddy status
  eddy status /data/app.db
  eddy status /data/app.db --replica r2://ACCOUNT_ID/eddy/app.db --json`,
    )
    .action((databases: string[], flags: StatusFlags) => statusCommand(databases, flags, signal));
}

/** `eddy status DB…`. The first four fields of the JSON are Litestream's, to the letter. */
async function statusCommand(
  databases: readonly string[],
  flags: StatusFlags,
  signal: AbortSignal,
): Promise<void> {
  const reports: StatusReport[] = [];
  for (const subject of await subjectsOf(databases, flags))
    reports.push(await report(subject, signal));
  if (flags.json) return printJson(reports.map(toJson));
  printTable(reports);
}

/** The databases that are named, or those of the configuration file. */
async function subjectsOf(
  names: readonly string[],
  flags: StatusFlags,
): Promise<readonly StatusSubject[]> {
  const { replica: url, syncInterval } = flags;
  if (url !== undefined && names.length !== 1) {
    throw usageError("--replica is of one database: name one");
  }
  const asked =
    syncInterval === undefined ? undefined : parseDuration(syncInterval, "--sync-interval");
  const named = url === undefined ? undefined : replicaOfUrl(url);
  const isFromFile = names.length === 0 || flags.config !== undefined;
  if (!isFromFile) {
    const syncIntervalMs = asked ?? SYNC_INTERVAL_MS;
    return names.map((path) => ({ path: absolute(path), replica: named, syncIntervalMs }));
  }
  const config = await configOf({ database: undefined, url: undefined }, flags, process.env);
  for (const notice of config.notices) printNotice(notice);
  return chosen(configuredDatabases(config), names).map((database) => ({
    path: database.path,
    stagingFolder: database.stagingFolder,
    replica: named ?? (flags.remote ? database.replica : undefined),
    syncIntervalMs: asked ?? database.syncIntervalMs ?? SYNC_INTERVAL_MS,
  }));
}

function chosen(all: readonly DatabaseConfig[], names: readonly string[]) {
  if (names.length === 0) return all;
  return names.map((name) => {
    const path = canonicalPath(name);
    const found = all.find((database) => canonicalPath(database.path) === path);
    if (found) return found;
    throw usageError(`${name} is none of the databases of the configuration file`);
  });
}

async function report(
  { path, stagingFolder, replica: place, syncIntervalMs }: StatusSubject,
  signal: AbortSignal,
): Promise<StatusReport> {
  const local = await readLocalStatus(path, stagingFolder);
  if (place === undefined) return { local, replica: undefined, pacing: undefined };
  const replica = openConfiguredReplica(place, process.env);
  const options = { local: local.txid, nowMs: Date.now(), signal };
  const status = await readReplicaStatus(replica, options);
  // Nobody asks money for files in a folder, and no pace at all has no price.
  const isPaid = replica.layout === "s3" && syncIntervalMs > 0;
  const pacing = isPaid ? pacingCost(syncIntervalMs) : undefined;
  return { local, replica: { ...status, url: place.url }, pacing };
}

function toJson({ local, replica, pacing }: StatusReport) {
  return {
    database: local.path,
    status: local.status,
    local_txid: textOfTxid(local.txid),
    wal_size: textOfWal(local),
    wal_size_bytes: local.walBytes ?? null,
    ...(local.error !== undefined && { error: local.error }),
    ...(replica && {
      replica: {
        url: replica.url,
        txid: textOfTxid(replica.txid),
        timestamp: replica.atMs === undefined ? null : formatInstant(replica.atMs),
        waiting: replica.waiting,
        lag_seconds: replica.lagMs / 1_000,
        ...(replica.writer && {
          writer: replica.writer.writer,
          writer_at: formatInstant(replica.writer.atMs),
        }),
      },
    }),
    ...(pacing && {
      pacing: {
        sync_interval_seconds: pacing.syncIntervalMs / 1_000,
        uploads_per_month: pacing.uploadsPerMonth,
        dollars_per_month: pacing.dollarsPerMonth,
        dollars_per_month_after_free: pacing.dollarsAfterFree,
      },
    }),
  };
}

function printTable(reports: readonly StatusReport[]): void {
  const width = Math.max("database".length, ...reports.map(({ local }) => local.path.length));
  const row = (path: string, status: string, txid: string, wal: string) =>
    printLine(`${path.padEnd(width)}  ${status.padEnd(15)}  ${txid.padEnd(16)}  ${wal}`);
  row("database", "status", "local txid", "wal size");
  for (const { local, replica, pacing } of reports) {
    row(local.path, local.status, textOfTxid(local.txid), textOfWal(local));
    if (local.error !== undefined) printLine(`  ${local.error}`);
    if (replica) printLine(`  ${describeReplica(replica)}`);
    if (pacing) printLine(`  ${describePacing(pacing)}`);
  }
}

function describeReplica(replica: ReplicaStatus & { readonly url: string }): string {
  const { url, txid, atMs, waiting, lagMs, writer } = replica;
  if (txid === undefined || atMs === undefined) return `${url} holds nothing yet`;
  const lag =
    waiting === 0
      ? "all that is staged is there"
      : `${waiting} TXIDs wait, and it is ${Math.round(lagMs / 1_000)} s behind`;
  const said = writer ? `; ${writer.writer} wrote there at ${formatInstant(writer.atMs)}` : "";
  return `${url} is at TXID ${formatTxid(txid)} of ${formatInstant(atMs)}: ${lag}${said}`;
}

function textOfTxid(txid: Txid | undefined): string {
  return txid === undefined ? "-" : formatTxid(txid);
}

function textOfWal({ walBytes }: LocalStatus): string {
  return walBytes === undefined ? "-" : humanBytes(walBytes);
}
