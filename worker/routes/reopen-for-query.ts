import { ReplicaError } from "../../shared/errors.ts";
import { formatTxid } from "../../shared/ltx/txid.ts";
import { isVerifiable, type Snapshot } from "../../shared/replica/snapshot.ts";
import type { Library } from "../replicas/library.ts";
import type { LookOptions } from "../replicas/opened-snapshot.ts";

/**
 * Opens a snapshot's TXID again, some of whose files have gone, for the query that reads it. The query's
 * connection looks at no cells where every page can be verified, and is told so once: what it goes on with
 * must be of that kind too.
 *
 * @throws {ReplicaError} As `Library.reopen`; `OBJECT_MISSING` where the files that are there now cannot be
 *   verified as those that have gone: whoever asks again gets a connection to these.
 */
export async function reopenForQuery(
  library: Library,
  gone: Snapshot,
  { signal }: LookOptions,
): Promise<Snapshot> {
  const opened = await library.reopen(gone.replica, gone, { signal });
  if (isVerifiable(opened) || !isVerifiable(gone)) return opened;
  const txid = formatTxid(gone.txid);
  throw new ReplicaError(
    "OBJECT_MISSING",
    `files that led to TXID ${txid} have gone while they were read, and those in their place cannot be verified page by page: ask again`,
  );
}
