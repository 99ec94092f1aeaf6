import type { Command } from "commander";
import { formatInstant } from "../../shared/instant.ts";
import { formatTxid } from "../../shared/ltx/txid.ts";
import { formatBaseKey, formatHeadKey } from "../../shared/replica/edge-bundle/bundle-keys.ts";
import { countingSink, storeSink } from "../../shared/replica/edge-bundle/bundle-sink.ts";
import { deleteStaleBases } from "../../shared/replica/edge-bundle/delete-stale-bases.ts";
import {
  updateBundle,
  type BundleReport,
  type UpdateProgress,
} from "../../shared/replica/edge-bundle/update-bundle.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import type { ConfigFlags } from "../config/command-line.ts";
import { humanBytes } from "../status/human-bytes.ts";
import { URLS } from "../terminal/help.ts";
import { printJson, printLine } from "../terminal/output.ts";
import { progressLine } from "../terminal/progress.ts";
import { addConfigOptions, namedReplica } from "./replica-argument.ts";

const EXPLANATION = `
Writes a side index beside the replica (<path>/eddy/head and <path>/eddy/base-...), from which a Worker that
has nothing in memory answers in two or three round trips, and by which it verifies every page. It works
for any replica of Litestream's, which passes these objects over. Nothing depends on them: they may be
missing, old or damaged, and may be deleted at any time.

The first run reads every LTX file of the restore plan once and verifies its checksum; later ones read what
is new.

Exit codes: 4 when an LTX file is damaged; 3 when a TXID that is needed is in no file.

Examples:
  eddy index r2://ACCOUNT_ID/eddy/app.db
  eddy index s3://my-bucket/app.db --dry-run --json`;

interface IndexFlags extends ConfigFlags {
  readonly dryRun?: boolean;
  readonly rebuild?: boolean;
  readonly json?: boolean;
}

/** Makes `eddy index` known to the command line. */
export function addIndex(program: Command, signal: AbortSignal): void {
  const command = program
    .command("index")
    .description("make or refresh a replica's side index, for queries without a warm-up")
    .argument("<url>", "the replica's URL, or a database of the configuration")
    .option("--dry-run", "say what would be written, and write nothing")
    .option("--rebuild", "make all of it anew from the LTX files")
    .option("--json", "print the result as JSON");
  addConfigOptions(command)
    .addHelpText("after", `${URLS}\n${EXPLANATION}`)
    .action((name: string, flags: IndexFlags) => indexCommand(name, flags, signal));
}

/**
 * `eddy index URL` or `eddy index DB`.
 *
 * @throws {ReplicaError} `DB_NOT_FOUND`, `REPLICA_GAP`, `CORRUPT_PAGE`, `ABORTED`, and what the store throws.
 */
async function indexCommand(name: string, flags: IndexFlags, signal: AbortSignal): Promise<void> {
  const { dryRun = false, rebuild: fromScratch = false, json } = flags;
  const { url, open } = await namedReplica(name, flags);
  const replica = open({ writing: !dryRun, signal });
  const line = progressLine("reading", process.stderr);
  const startedMs = performance.now();
  try {
    const sink = dryRun ? countingSink() : storeSink(replica, signal);
    const onProgress = (progress: UpdateProgress) => line.update(progress);
    const report = await updateBundle(replica, sink, { fromScratch, onProgress, signal });
    const { previousBase: previous } = report;
    const stale = { previous, nowMs: Date.now(), signal };
    const deleted = dryRun ? [] : await deleteStaleBases(replica, stale);
    line.end();
    const durationMs = Math.round(performance.now() - startedMs);
    if (json) {
      const result = toJson(replica, report);
      printJson({ replica: url, dry_run: dryRun, ...result, deleted, duration_ms: durationMs });
    } else {
      printReport(report, { dryRun, deleted, durationMs });
    }
  } finally {
    line.end();
  }
}

/** What was done, in the words of `--json`. */
const ACTIONS = { none: "none", head: "head", base: "head and base", build: "all" } as const;

function toJson(
  replica: Replica,
  { kind, txid, headBytes, deltaBytes, base, content }: BundleReport,
) {
  const { timestampMs, commit, pageSize, files, hot, roots, delta } = content;
  return {
    written: ACTIONS[kind],
    txid: formatTxid(txid),
    timestamp: formatInstant(timestampMs),
    page_count: commit,
    page_size: pageSize,
    files: files.length,
    head: {
      key: formatHeadKey(replica),
      size_bytes: headBytes,
      pages: hot.length,
      roots: roots.length,
      newer_pages: delta.length,
      newer_bytes: deltaBytes,
    },
    base: {
      key: formatBaseKey(replica, base),
      size_bytes: base.sizeBytes,
      txid: formatTxid(base.txid),
      map_bytes: base.partSizes.reduce((sum, size) => sum + size, 0),
    },
  };
}

function printReport(
  { kind, txid, headBytes, base, content }: BundleReport,
  done: {
    readonly dryRun: boolean;
    readonly deleted: readonly string[];
    readonly durationMs: number;
  },
): void {
  const { hot, delta, files } = content;
  const isBaseNew = kind === "base" || kind === "build";
  const verb = done.dryRun ? "would be" : "is";
  if (kind === "none") printLine(`the index names TXID ${formatTxid(txid)} already, nothing to do`);
  else printLine(`the index ${verb} at TXID ${formatTxid(txid)}, over ${files.length} LTX files`);
  printLine(
    `head  ${humanBytes(headBytes).padStart(9)}  ${hot.length} pages, and the places of ${delta.length} that are newer than the base`,
  );
  const age = isBaseNew ? "new" : "as it was";
  printLine(
    `base  ${humanBytes(base.sizeBytes).padStart(9)}  of TXID ${formatTxid(base.txid)}, ${age}`,
  );
  if (done.deleted.length > 0) printLine(`deleted ${done.deleted.length} older bases`);
  printLine(`${done.durationMs} ms`);
}
