import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isReplicaError, throwIfAborted, type ReplicaError } from "../../shared/errors.ts";
import { listAllFiles, loadPlan } from "../../shared/replica/load-plan.ts";
import type { LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import type { RestoreTarget } from "../../shared/replica/restore-plan.ts";
import { decodeFiles } from "../restore/decode-files.ts";
import {
  restoreDatabase,
  type RestoreProgress,
  type RestoreResult,
} from "../restore/restore-database.ts";
import { compareWithLive, type LiveComparison } from "./compare-live.ts";
import { reportLevels, type LevelReport } from "./level-report.ts";

export interface VerifyOptions {
  readonly target: RestoreTarget;
  /** The live database, to be compared with. */
  readonly databasePath?: string | undefined;
  /** Where its staged files are; beside it when undefined. */
  readonly stagingFolder?: string | undefined;
  readonly parallelism?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?:
    | ((part: "reading" | "restoring", progress: RestoreProgress) => void)
    | undefined;
}

export interface DamagedFile {
  readonly key: string;
  /** Names the page where it is one. */
  readonly message: string;
}

export interface VerifyReport {
  readonly files: number;
  readonly sizeBytes: number;
  readonly levels: readonly LevelReport[];
  readonly damaged: readonly DamagedFile[];
  /** Files that went while they were to be read, because something has replaced them. */
  readonly gone: readonly string[];
  /** What restoring led to, with SQLite's full check. */
  readonly restored: RestoreResult | ReplicaError;
  /** Undefined where no live database was named, or nothing could be restored. */
  readonly live: LiveComparison | undefined;
}

/**
 * Reads every file of a replica and checks every checksum, looks for TXIDs that no file holds, restores to
 * a temporary file with SQLite's full integrity check, and compares that with the live database where one
 * is named. What is wrong with the replica is in the report, not thrown.
 *
 * @throws {ReplicaError} `DB_NOT_FOUND` for an empty replica, `SOURCE_INVALID` for the live database,
 *   `LOCAL_FILE`, `ABORTED`, and what the store throws.
 */
export async function verifyReplica(
  replica: Replica,
  options: VerifyOptions,
): Promise<VerifyReport> {
  const { target, databasePath, stagingFolder, signal } = options;
  const files = await listAllFiles(replica, signal);
  // Says what is wrong with an empty place.
  if (files.length === 0) await loadPlan(replica, target, { signal });
  const { damaged, gone } = await readAll(replica, files, options);
  const folder = mkdtempSync(join(tmpdir(), "eddy-verify-"));
  try {
    const restoredPath = join(folder, "restored.db");
    const restored = await restore(replica, restoredPath, options);
    throwIfAborted(signal);
    const live =
      databasePath === undefined || isReplicaError(restored)
        ? undefined
        : await compareWithLive({
            databasePath,
            stagingFolder,
            restoredPath,
            txid: restored.txid,
            folder,
          });
    const sizeBytes = sizeOf(files);
    const levels = reportLevels(files);
    return { files: files.length, sizeBytes, levels, damaged, gone, restored, live };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function readAll(
  { store }: Replica,
  files: readonly LtxFileInfo[],
  { parallelism, signal, onProgress }: VerifyOptions,
): Promise<{ damaged: DamagedFile[]; gone: string[] }> {
  const damaged: DamagedFile[] = [];
  const gone: string[] = [];
  const totalBytes = sizeOf(files);
  let doneBytes = 0;
  await decodeFiles(store, files, {
    parallelism,
    signal,
    onBytes(bytes) {
      doneBytes += bytes;
      onProgress?.("reading", { doneBytes, totalBytes });
    },
    onFailure({ key }, error) {
      if (error.code === "OBJECT_MISSING") gone.push(key);
      else damaged.push({ key, message: error.message });
    },
  });
  return { damaged, gone };
}

/** What is wrong with the replica is an answer here; everything else is thrown. */
async function restore(
  replica: Replica,
  output: string,
  { target, parallelism, signal, onProgress }: VerifyOptions,
): Promise<RestoreResult | ReplicaError> {
  try {
    return await restoreDatabase(replica, {
      output,
      target,
      integrityCheck: "full",
      force: false,
      parallelism,
      signal,
      onProgress: (progress) => onProgress?.("restoring", progress),
    });
  } catch (error) {
    const isOfReplica =
      isReplicaError(error, "CORRUPT_PAGE") || isReplicaError(error, "REPLICA_GAP");
    if (isOfReplica) return error;
    throw error;
  }
}

function sizeOf(files: readonly LtxFileInfo[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
