import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { parseLtxFileName } from "../../shared/ltx/file-name.ts";
import type { Txid } from "../../shared/ltx/txid.ts";
import { DATABASE_HEADER_BYTES, parseDatabaseHeader } from "../../shared/sqlite/database-header.ts";
import { realPath } from "../files/real-path.ts";
import { codeOf } from "../storage/durable-file.ts";
import { stagingFolderOf } from "../sync/staging.ts";

/** What can be seen of a database's replication without asking anybody. */
export interface LocalStatus {
  readonly path: string;
  /** Litestream's words; `not initialized` is a database that was never replicated, or reset. */
  readonly status: "ok" | "not initialized" | "no database" | "error";
  /** The newest TXID that is staged. */
  readonly txid: Txid | undefined;
  /** Size of the log's file; undefined when there is no database. */
  readonly walBytes: number | undefined;
  /** Why the status is `error`. */
  readonly error: string | undefined;
}

/**
 * Looks at a database, its log and its staging directory. Nothing is locked, opened as a database or
 * changed. Not for the replicator's own process: closing the file would drop its locks.
 *
 * @param stagingFolder Where the configuration puts it; beside the database when it says nothing.
 */
export async function readLocalStatus(
  path: string,
  stagingFolder = stagingFolderOf(realPath(path)),
): Promise<LocalStatus> {
  const none = { path, txid: undefined, walBytes: undefined, error: undefined };
  try {
    const isEmpty = await lookAtDatabase(path);
    const walBytes = await sizeOf(`${realPath(path)}-wal`);
    const txid = isEmpty ? undefined : await newestStaged(stagingFolder);
    return { ...none, status: txid === undefined ? "not initialized" : "ok", txid, walBytes };
  } catch (error) {
    if (codeOf(error) === "ENOENT") return { ...none, status: "no database" };
    return { ...none, status: "error", error: (error as Error).message };
  }
}

/** Says whether it has no page yet; throws when it is no database. */
async function lookAtDatabase(path: string): Promise<boolean> {
  const file = await open(path, "r");
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(DATABASE_HEADER_BYTES), 0);
    if (bytesRead === 0) return true;
    parseDatabaseHeader(buffer.subarray(0, bytesRead));
    return false;
  } finally {
    await file.close();
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return 0;
    throw error;
  }
}

/** Litestream keeps several files there; the newest counts. */
async function newestStaged(stagingFolder: string): Promise<Txid | undefined> {
  let newest: Txid | undefined;
  for (const name of await namesIn(join(stagingFolder, "ltx", "0"))) {
    const txid = parseLtxFileName(name)?.maxTxid;
    if (txid !== undefined && (newest === undefined || txid > newest)) newest = txid;
  }
  return newest;
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}
