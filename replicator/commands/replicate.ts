import { ReplicaError } from "../../shared/errors.ts";
import { parseDuration } from "../config/duration.ts";
import { openReplica } from "../storage/open-store.ts";
import type { ReplicationEvent } from "../sync/events.ts";
import { Replication } from "../sync/sync-loop.ts";
import { printJson, printNotice } from "../terminal/output.ts";
import { megabytes } from "../terminal/progress.ts";
import type { Command } from "commander";
import { URLS } from "../terminal/help.ts";

/** Options of `eddy replicate` as the command line gives them. */
interface ReplicateFlags {
  readonly once?: boolean;
  readonly syncInterval?: string;
  /** False: `--no-lease`. */
  readonly lease: boolean;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

/** Makes `eddy replicate` known to the command line. */
export function addReplicate(program: Command, signal: AbortSignal): void {
  program
    .command("replicate")
    .description("ship every commit of a database to a replica, until stopped")
    .argument("<database>", "the SQLite file; the application goes on using it")
    .argument("<url>", "the replica")
    .option("--once", "ship what is committed now, and end")
    .option(
      "--sync-interval <duration>",
      "steady writing is shipped as one file in so long; the first 30 commits after quiet go at once (default: 1s)",
    )
    .option(
      "--no-lease",
      "take no lease in the store (lock.json): for stores without conditional writes; the path must have one writer",
    )
    .option("--json", "print events as JSON, one a line")
    .option("--verbose", "say of every TXID when it is in the store")
    .addHelpText(
      "after",
      `${URLS}

Examples:
  eddy replicate /data/app.db r2://ACCOUNT_ID/eddy/app.db
  eddy replicate /data/app.db file:///var/backups/app --once

Ctrl-C ships what is left first; a second Ctrl-C ends at once. The staging directory
.NAME-litestream beside the database keeps what the store does not have yet.`,
    )
    .action((database: string, url: string, flags: ReplicateFlags) =>
      replicateCommand(database, url, flags, signal),
    );
}

/**
 * `eddy replicate DB URL`: ships every commit until it is told to stop.
 *
 * @throws {ReplicaError} `R2_ERROR` when it had to stop with commits that are not in the store yet.
 */
async function replicateCommand(
  databasePath: string,
  url: string,
  flags: ReplicateFlags,
  signal: AbortSignal,
): Promise<void> {
  // The store must outlive the first Ctrl-C: what is left is still uploaded then.
  const replica = openReplica(url, { env: process.env, writing: true });
  const onEvent = (event: ReplicationEvent) => {
    if (flags.json) printJson(event);
    else printEvent(event, url, flags.verbose ?? false);
  };
  const { syncInterval } = flags;
  const syncIntervalMs =
    syncInterval === undefined ? undefined : parseDuration(syncInterval, "--sync-interval");
  const options = { databasePath, replica, onEvent, syncIntervalMs, lease: flags.lease };
  const replication = await Replication.start(options);
  const state = await (flags.once ? replication.once(signal) : replication.run(signal));
  if (state.waiting === 0) return;
  throw new ReplicaError(
    signal.aborted && flags.once ? "ABORTED" : "R2_ERROR",
    `${state.waiting} LTX files are staged and not in the store; they are uploaded when the replicator is started again`,
  );
}

function printEvent(event: ReplicationEvent, url: string, isVerbose: boolean): void {
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
        `compared ${event.pages} pages with what was shipped: ${event.differing === 0 ? "none differs" : `${event.differing} differ, and only they are shipped`} (${event.reason})`,
      );
    case "uploaded":
      if (!isVerbose) return;
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
      if (!isVerbose) return;
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
