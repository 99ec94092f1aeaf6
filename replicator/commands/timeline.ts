import type { Command } from "commander";
import type { ConfigFlags } from "../config/command-line.ts";
import { addConfigOptions, namedReplica } from "./replica-argument.ts";
import { ReplicaError } from "../../shared/errors.ts";
import { formatInstant } from "../../shared/instant.ts";
import { SNAPSHOT_LEVEL, STORE_REQUESTS_MAX } from "../../shared/limits.ts";
import { decodeHeader, LTX_HEADER_BYTES } from "../../shared/ltx/header.ts";
import { formatTxid } from "../../shared/ltx/txid.ts";
import { inParallel } from "../../shared/replica/in-parallel.ts";
import type { LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import { listAllFiles } from "../../shared/replica/load-plan.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { readObject } from "../../shared/replica/read-object.ts";
import { timelineOf, type TimelineStretch } from "../../shared/replica/timeline.ts";
import { printJson, printLine, printNotice } from "../terminal/output.ts";

/** Options of `eddy timeline` as the command line gives them. */
interface TimelineFlags extends ConfigFlags {
  readonly json?: boolean;
}

/** Makes `eddy timeline` known to the command line. */
export function addTimeline(program: Command, signal: AbortSignal): void {
  const command = program
    .command("timeline")
    .description("show which moments of a replica can be restored, and how close they lie")
    .argument("<url>", "the replica's URL, or a database of the configuration")
    .option("--json", "print it as JSON");
  addConfigOptions(command)
    .addHelpText(
      "after",
      `
Example:
  eddy timeline r2://ACCOUNT_ID/eddy/app.db

The last minutes can be restored at every TXID, what lies before them at the ends of the files of level 1
(every 30 seconds), and what is older than the snapshot retention not at all.`,
    )
    .action((name: string, flags: TimelineFlags) => timelineCommand(name, flags, signal));
}

/** One stretch as `--json` prints it. */
interface TimelineRow {
  readonly level: number;
  readonly min_txid: string;
  readonly max_txid: string;
  readonly min_timestamp: string;
  readonly max_timestamp: string;
  readonly moments: number;
  readonly every_txid: boolean;
  readonly step_ms: number | null;
}

/**
 * `eddy timeline URL` or `eddy timeline DB`: what can be restored, stretch by stretch, the oldest first.
 *
 * @throws {ReplicaError} `DB_NOT_FOUND`, `REPLICA_GAP` when nothing can be restored, and what the store throws.
 */
async function timelineCommand(
  name: string,
  flags: TimelineFlags,
  signal: AbortSignal,
): Promise<void> {
  const { json } = flags;
  const { url, open } = await namedReplica(name, flags);
  const replica = open({ writing: false, signal });
  const files = await listAllFiles(replica, signal, true);
  if (files.length === 0) throw new ReplicaError("DB_NOT_FOUND", `${url} holds no LTX files`);
  const stretches = timelineOf(files);
  const rows = await inParallel(stretches, STORE_REQUESTS_MAX, (stretch) =>
    rowOf(replica, stretch, signal),
  );
  const end = stretches.at(-1)?.last.maxTxid ?? 0n;
  if (end === 0n) {
    throw new ReplicaError(
      "REPLICA_GAP",
      `nothing in ${url} can be restored: no LTX file begins at TXID 1`,
    );
  }
  if (json) printJson(rows);
  else printRows(rows);
  const beyond = files.filter(({ maxTxid }) => maxTxid > end).map(({ maxTxid }) => maxTxid);
  if (beyond.length > 0) {
    printNotice(
      `what comes after the last of these cannot be restored, because a file is missing: there are ${beyond.length} more files, up to TXID ${formatTxid(beyond.reduce((a, b) => (a > b ? a : b)))}`,
    );
  }
}

async function rowOf(
  replica: Replica,
  { level, first, last, moments, isEveryTxid, stepMs }: TimelineStretch,
  signal: AbortSignal,
): Promise<TimelineRow> {
  return {
    level,
    min_txid: formatTxid(first.maxTxid),
    max_txid: formatTxid(last.maxTxid),
    min_timestamp: formatInstant(await stampOf(replica, first, signal)),
    max_timestamp: formatInstant(await stampOf(replica, last, signal)),
    moments,
    every_txid: isEveryTxid,
    step_ms: stepMs ?? null,
  };
}

/** A listing on S3 tells when a file was uploaded; when its last transaction was committed stands in the file. */
async function stampOf(replica: Replica, file: LtxFileInfo, signal: AbortSignal): Promise<number> {
  if (file.isStamped) return file.createdAtMs;
  const range = { offset: 0, length: LTX_HEADER_BYTES };
  const { bytes } = await readObject(replica, file, range, signal);
  return decodeHeader(bytes).timestampMs;
}

function printRows(rows: readonly TimelineRow[]): void {
  const cells = rows.map((row) => [
    row.min_timestamp,
    row.max_timestamp,
    row.min_txid,
    row.max_txid,
    granularity(row),
  ]);
  const head = ["from", "to", "min_txid", "max_txid", "what can be restored"];
  for (const [from, to, min, max, what] of [head, ...cells]) {
    printLine(
      `${from?.padEnd(24)}  ${to?.padEnd(24)}  ${min?.padEnd(16)}  ${max?.padEnd(16)}  ${what}`,
    );
  }
}

function granularity({ level, moments, every_txid, step_ms }: TimelineRow): string {
  const where = level === SNAPSHOT_LEVEL ? "snapshots" : `level ${level}`;
  if (moments === 1) return level === SNAPSHOT_LEVEL ? "one snapshot" : "this moment";
  const step = step_ms === null ? "" : `, one every ${duration(step_ms)}`;
  return every_txid ? `every TXID${step}` : `${moments} moments${step} (${where})`;
}

const UNITS = [
  [86_400_000, "days"],
  [3_600_000, "h"],
  [60_000, "min"],
] as const;

/** For example `1.5 s`, `5 min`, `36 h`: in the largest unit of which there are at least two. */
function duration(ms: number): string {
  const [unitMs, unit] =
    UNITS.find(([size]) => ms >= 2 * size) ?? (ms < 1_000 ? [1, "ms"] : [1_000, "s"]);
  return `${Number((ms / unitMs).toFixed(1))} ${unit}`;
}
