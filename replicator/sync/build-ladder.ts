import { formatTxid } from "../../shared/ltx/txid.ts";
import { Ladder } from "../compaction/ladder.ts";
import type { Staging } from "./staging.ts";
import type { ReplicationOptions } from "./sync-loop.ts";

/** The levels above 0 of one replication: what they do is told as its events. */
export function buildLadder(
  { replica, onEvent = () => undefined, levelIntervalsMs }: ReplicationOptions,
  staging: Staging,
  now: () => number,
): Ladder {
  return new Ladder({
    replica,
    folder: staging.workFolder,
    localPath: ({ level, minTxid }) => (level === 0 ? staging.pathOf(minTxid) : undefined),
    intervalsMs: levelIntervalsMs,
    now,
    onCompacted: ({ level, minTxid, maxTxid, sizeBytes }, files) =>
      onEvent({
        event: "compacted",
        level,
        min_txid: formatTxid(minTxid),
        max_txid: formatTxid(maxTxid),
        files,
        bytes: sizeBytes,
      }),
    onFailed: (level, { message }) => onEvent({ event: "compaction-failed", level, message }),
    onGap: (level, { after, before }) =>
      onEvent({
        event: "compaction-failed",
        level,
        message: `no file holds what lies between TXID ${after === undefined ? "0" : formatTxid(after)} and ${formatTxid(before)}`,
      }),
  });
}
