/**
 * Replicates as `eddy replicate --json` does, but for what the command line cannot be asked for: levels and
 * snapshots that are written within moments, and files that are deleted as soon. Over IPC it answers `sync` when all that is committed then is in the store.
 * Usage: `replicator-with-levels.ts DATABASE URL SYNC_INTERVAL_MS L1_MS L2_MS L3_MS`.
 */
import { openReplica } from "../../replicator/storage/open-store.ts";
import { Replication } from "../../replicator/sync/sync-loop.ts";
import { exitCodeOf } from "../../replicator/exit-code.ts";
import { ReplicaError } from "../../shared/errors.ts";
import { formatTxid } from "../../shared/ltx/txid.ts";
import type { SyncAnswer } from "./replicator.ts";

const [databasePath = "", url = "", ...intervals] = process.argv.slice(2);
const [syncIntervalMs, ...levelIntervalsMs] = intervals.map(Number);
const stop = new AbortController();
process.on("SIGTERM", () => stop.abort());

try {
  const replication = await Replication.start({
    databasePath,
    replica: openReplica(url, { env: process.env, writing: true }),
    onEvent: (event) => console.log(JSON.stringify(event)),
    syncIntervalMs,
    levelIntervalsMs,
    snapshotIntervalMs: 400,
    edgeBundle: true,
    // Every file that is not made in memory goes up while it is staged.
    earlyBytesMin: 64 * 1024,
    l0RetentionMs: 40,
    snapshotRetentionMs: 100,
    retentionCheckIntervalMs: 20,
  });
  process.on("message", ({ sync }: { sync: number }) => {
    const answer = (txid: string | undefined) =>
      process.send?.({ sync, txid } satisfies SyncAnswer, () => undefined);
    replication.sync(stop.signal).then(
      (txid) => answer(txid === undefined ? undefined : formatTxid(txid)),
      () => answer(undefined),
    );
  });
  const { waiting } = await replication.run(stop.signal);
  if (waiting > 0) throw new ReplicaError("R2_ERROR", `${waiting} files are not in the store`);
  process.exit(0);
} catch (error) {
  console.error(error);
  process.exit(exitCodeOf(error));
}
