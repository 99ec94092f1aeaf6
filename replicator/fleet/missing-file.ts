import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { isReplicaError } from "../../shared/errors.ts";
import { formatTxid } from "../../shared/ltx/txid.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { describeUnchecked } from "../restore/check-integrity.ts";
import { restoreDatabase } from "../restore/restore-database.ts";
import { FolderWatch } from "./folder-watch.ts";

interface MissingFileOptions {
  readonly signal: AbortSignal;
  readonly onNotice: (text: string) => void;
}

/**
 * Restores the newest state to `path`, unless there is a file or the replica holds nothing.
 *
 * @throws {ReplicaError} As `restoreDatabase`.
 */
export async function restoreIfMissing(
  replica: Replica,
  { path, signal, onNotice }: MissingFileOptions & { readonly path: string },
): Promise<void> {
  if (existsSync(path)) return;
  try {
    const { txid, unchecked } = await restoreDatabase(replica, {
      output: path,
      target: { kind: "latest" },
      integrityCheck: "quick",
      force: false,
      signal,
    });
    const restored = `it is restored at TXID ${formatTxid(txid)}`;
    onNotice(`${path} was not there: ${restored}${describeUnchecked(unchecked)}`);
  } catch (error) {
    if (!isReplicaError(error, "DB_NOT_FOUND")) throw error;
    onNotice(`${path} is not there, and its replica is empty: nothing to restore`);
  }
}

/** Resolves when there is something in the file at `path`, or when `signal` fires. */
export async function waitForFile(
  path: string,
  { signal, onNotice }: MissingFileOptions,
): Promise<void> {
  if (hasContent(path)) return;
  onNotice(`${path} is not there yet; it is replicated as soon as it is`);
  using watch = new FolderWatch(() => true);
  while (!signal.aborted && !hasContent(path)) {
    // It may have come before it was watched for.
    if (!watch.follow([dirname(path)])) await watch.wait(signal);
  }
}

/** False for an empty file too: SQLite makes it first, and writes to it with the first transaction. */
export function hasContent(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0;
}
