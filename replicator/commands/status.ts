import { formatInstant } from "../../shared/instant.ts";
import { formatTxid, type Txid } from "../../shared/ltx/txid.ts";
import { parseDuration } from "../config/duration.ts";
import { humanBytes } from "../status/human-bytes.ts";
import { readLocalStatus, type LocalStatus } from "../status/local-status.ts";
import { describePacing, pacingCost, type PacingCost } from "../status/pacing-cost.ts";
import { readReplicaStatus, type ReplicaStatus } from "../status/replica-status.ts";
import { openReplica } from "../storage/open-store.ts";
import { printJson, printLine, usageError } from "../terminal/output.ts";
import type { Command } from "commander";
import { absolute } from "./control-options.ts";

/** Options of `eddy status` as the command line gives them. */
interface StatusFlags {
  readonly replica?: string;
  readonly syncInterval: string;
  readonly json?: boolean;
}

/** One database whose status is asked for. */
interface StatusSubject {
  readonly path: string;
  readonly replicaUrl: string | undefined;
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
    .argument("<databases...>", "the SQLite files")
    .option("--replica <url>", "ask this replica too how far it is (of one database)")
    .option("--sync-interval <duration>", "show what this pace costs a month", "1s")
    .option("--json", "print it as JSON")
    .addHelpText(
      "after",
      `
Reads the log's size, the names in the staging directory and the first 100 bytes of the database,
and takes no lock: the application and the replicator notice nothing.

Examples:
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
  for (const subject of subjectsOf(databases, flags)) reports.push(await report(subject, signal));
  if (flags.json) return printJson(reports.map(toJson));
  printTable(reports);
}

/** The one place that says whose status is shown: a configuration would name them here. */
function subjectsOf(databases: readonly string[], flags: StatusFlags): StatusSubject[] {
  if (flags.replica !== undefined && databases.length > 1) {
    throw usageError("--replica is of one database: name one");
  }
  const syncIntervalMs = parseDuration(flags.syncInterval, "--sync-interval");
  const replicaUrl = flags.replica;
  return databases.map((path) => ({ path: absolute(path), replicaUrl, syncIntervalMs }));
}

async function report(
  { path, replicaUrl, syncIntervalMs }: StatusSubject,
  signal: AbortSignal,
): Promise<StatusReport> {
  const local = await readLocalStatus(path);
  if (replicaUrl === undefined) return { local, replica: undefined, pacing: undefined };
  const replica = openReplica(replicaUrl, { env: process.env, writing: false, signal });
  const options = { local: local.txid, nowMs: Date.now(), signal };
  const status = await readReplicaStatus(replica, options);
  // Nobody asks money for files in a folder, and no pace at all has no price.
  const isPaid = replica.layout === "s3" && syncIntervalMs > 0;
  const pacing = isPaid ? pacingCost(syncIntervalMs) : undefined;
  return { local, replica: { ...status, url: replicaUrl }, pacing };
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
