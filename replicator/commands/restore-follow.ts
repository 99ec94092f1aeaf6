import { existsSync, statSync } from "node:fs";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { parseDuration } from "../config/duration.ts";
import type { FollowEvent } from "../follow/follow-events.ts";
import { followReplica } from "../follow/follow-replica.ts";
import { writeFollowerHeader } from "../follow/follower-header.ts";
import { txidPathOf, writeTxidFile } from "../follow/txid-file.ts";
import { restoreDatabase, type RestoreOptions } from "../restore/restore-database.ts";
import { printJson, printNotice, usageError } from "../terminal/output.ts";
import { megabytes } from "../terminal/progress.ts";
import { parallelismOf, type RestoreFlags } from "./restore-flags.ts";

/**
 * `eddy restore URL --follow`: restores, unless that was done before, and then keeps the database up
 * with the replica until it is told to stop.
 */
export async function followCommand(
  replica: Replica,
  options: RestoreOptions & { readonly signal: AbortSignal; readonly onRestored: () => void },
  flags: RestoreFlags,
): Promise<void> {
  if (flags.txid !== undefined || flags.timestamp !== undefined) {
    throw usageError("--follow goes on to the newest state: leave --txid and --timestamp out");
  }
  const intervalMs = parseDuration(flags.followInterval, "--follow-interval");
  if (intervalMs < 1) throw usageError("--follow-interval is at least 1ms");
  const path = options.output;
  if (options.force || !canResume(path)) {
    await restoreDatabase(replica, {
      ...options,
      editPage1: writeFollowerHeader,
      onFinished: ({ txid }) => writeTxidFile(path, txid),
    });
  }
  options.onRestored();
  await followReplica({
    replica,
    path,
    intervalMs,
    parallelism: parallelismOf(flags.parallelism),
    signal: options.signal,
    onEvent: flags.json ? printJson : printEvent,
  });
}

/** Whether the database was restored for following before. */
function canResume(path: string): boolean {
  return existsSync(path) && statSync(path).size > 0 && existsSync(txidPathOf(path));
}

function printEvent(event: FollowEvent): void {
  switch (event.event) {
    case "following":
      return printNotice(`${event.db} is at TXID ${event.txid} and follows; Ctrl-C ends it`);
    case "applied":
      return printNotice(
        `TXID ${event.txid}: ${event.pages} pages from ${event.files} LTX files, ${megabytes(event.bytes)} MB, ${event.lag_ms} ms behind`,
      );
    case "waiting":
      return printNotice(`waiting: ${event.message}`);
    case "stopped":
      return printNotice(`stopped at TXID ${event.txid}`);
  }
}
