/** From a replica to a database file: every file of the plan, whole, every checksum verified. */
import { existsSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { ReplicaError, isReplicaError, throwIfAborted } from "../../shared/errors.ts";
import type { LtxHeader } from "../../shared/ltx/header.ts";
import { formatTxid, type Txid } from "../../shared/ltx/txid.ts";
import { loadPlan } from "../../shared/replica/load-plan.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import type { RestorePlan, RestoreTarget } from "../../shared/replica/restore-plan.ts";
import { lockPgno } from "../../shared/sqlite/database-header.ts";
import { makeFolder } from "../storage/durable-file.ts";
import { applyFiles } from "./apply-files.ts";
import { checkIntegrity, type IntegrityCheck } from "./check-integrity.ts";
import { DatabaseFile } from "./database-file.ts";

export const SIDECARS = ["-wal", "-shm", "-journal"];

export interface RestoreProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface RestoredState {
  readonly txid: Txid;
  /** Size of the database, in pages. */
  readonly commit: number;
}

export interface RestoreOptions {
  readonly output: string;
  readonly target: RestoreTarget;
  readonly integrityCheck: IntegrityCheck;
  /** Replace a file that is there already. */
  readonly force: boolean;
  /** Most requests at a time. */
  readonly parallelism?: number | undefined;
  /** Changes page 1 before the file is checked. */
  readonly editPage1?: ((page: Uint8Array, state: RestoredState) => void) | undefined;
  /** Called right before the file gets its name. */
  readonly onFinished?: ((state: RestoredState) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called as bytes of LTX files are read and applied. */
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined;
}

export interface RestoreResult {
  readonly txid: Txid;
  /** When the restored state was committed, as the newest file's header says. */
  readonly timestampMs: number;
  readonly sizeBytes: number;
  readonly files: number;
  /** False when the replica is too coarse for the moment that was asked for. */
  readonly exact: boolean;
  /** Tables that SQLite could not check: see `checkIntegrity`. */
  readonly unchecked: readonly string[];
}

/**
 * Writes the database as it was at `target` to `output`, which appears only when it is complete and
 * has passed its check.
 *
 * @throws {ReplicaError} `OUTPUT_EXISTS`, `CORRUPT_PAGE`, `LOCAL_FILE`, `ABORTED`, and what planning throws.
 */
export async function restoreDatabase(
  replica: Replica,
  options: RestoreOptions,
): Promise<RestoreResult> {
  if (!options.force) refuseExisting(options.output);
  await makeFolderOf(options.output);
  try {
    return await restoreOnce(replica, options);
  } catch (error) {
    // Retention or a compaction took a file away between plan and read: what replaced it is there.
    if (!isReplicaError(error, "OBJECT_MISSING")) throw error;
    return await restoreOnce(replica, options);
  }
}

/**
 * An empty file counts for nothing, as with Litestream.
 *
 * @throws {ReplicaError} `OUTPUT_EXISTS` when `output`, or a log that SQLite would take for its, is there.
 */
export function refuseExisting(output: string): void {
  const isThere = existsSync(output) && statSync(output).size > 0;
  const inTheWay = isThere ? "" : SIDECARS.find((suffix) => existsSync(output + suffix));
  if (inTheWay === undefined) return;
  throw new ReplicaError(
    "OUTPUT_EXISTS",
    `${output}${inTheWay} exists already: choose another --output, or replace it with --force`,
  );
}

/** @throws {ReplicaError} `LOCAL_FILE` when the folder is not there and cannot be made. */
export async function makeFolderOf(output: string): Promise<void> {
  try {
    await makeFolder(dirname(output));
  } catch (cause) {
    const sentence = `cannot make the folder of ${output}: ${(cause as Error).message}`;
    throw new ReplicaError("LOCAL_FILE", sentence, { cause });
  }
}

async function restoreOnce(replica: Replica, options: RestoreOptions): Promise<RestoreResult> {
  const { signal, target } = options;
  const plan = await loadPlan(replica, target, { signal });
  const file = new DatabaseFile(options.output);
  try {
    const header = await applyPlan(replica, plan, file, options);
    const { commit, pageSize, timestampMs } = header;
    const missing = file.firstMissingPage(commit, lockPgno(pageSize));
    if (missing !== undefined) {
      const where = `page ${missing} of ${commit} is in none of the ${plan.files.length} LTX files`;
      throw new ReplicaError("CORRUPT_PAGE", `${where} that make TXID ${formatTxid(plan.txid)}`);
    }
    const state = { txid: plan.txid, commit };
    if (options.editPage1) {
      const page1 = file.readPage(1);
      options.editPage1(page1, state);
      file.writePage(1, page1);
    }
    await file.finish(commit);
    const unchecked = checkIntegrity(file.temporaryPath, options.integrityCheck);
    throwIfAborted(signal);
    // Once more: an application may have made its database meanwhile.
    if (!options.force) refuseExisting(options.output);
    // SQLite would replay a log that belongs to the file which was here before.
    for (const suffix of SIDECARS) rmSync(options.output + suffix, { force: true });
    options.onFinished?.(state);
    file.publish();
    const sizeBytes = commit * pageSize;
    const { txid, exact, files } = plan;
    return { txid, timestampMs, sizeBytes, files: files.length, exact, unchecked };
  } finally {
    await file.discard();
  }
}

/** Applies the plan's files, oldest first, so that the newest version of a page is written last. */
async function applyPlan(
  replica: Replica,
  plan: RestorePlan,
  file: DatabaseFile,
  { signal, parallelism, onProgress }: RestoreOptions,
): Promise<LtxHeader> {
  const totalBytes = plan.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let doneBytes = 0;
  return await applyFiles(replica, plan.files, file, {
    signal,
    parallelism,
    onBytes(bytes) {
      doneBytes += bytes;
      onProgress?.({ doneBytes, totalBytes });
    },
  });
}
