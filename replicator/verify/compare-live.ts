/**
 * Holds a restored database against the live one. The live database is read by SQLite itself, in a read
 * transaction of a connection that cannot write, and copied by its backup: neither the application nor the
 * replicator notices.
 */
import { closeSync, existsSync, openSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { ReplicaError } from "../../shared/errors.ts";
import { formatLtxFileName, parseLtxFileName } from "../../shared/ltx/file-name.ts";
import { decodeHeader, LTX_HEADER_BYTES, type LtxHeader } from "../../shared/ltx/header.ts";
import { formatTxid, type Txid } from "../../shared/ltx/txid.ts";
import { readAt } from "../files/read-at.ts";
import { realPath } from "../files/real-path.ts";
import { stagingFolderOf } from "../sync/staging.ts";
import { readWalBatch, WalFile, walStart } from "../wal/wal-reader.ts";
import { compareDatabaseFiles, type FileDifference } from "./compare-files.ts";

/** All pages in one step, so that the copy is of one moment. */
const ALL_PAGES = 2 ** 31 - 1;

export type LiveComparison =
  | { readonly state: "equal" }
  /** It is shown that the live database is at the same TXID, and yet pages differ. */
  | { readonly state: "differs"; readonly difference: FileDifference }
  /** The two differ, or were not compared, because the live database has gone on. */
  | { readonly state: "not-comparable"; readonly reason: string };

export interface CompareLiveOptions {
  readonly databasePath: string;
  /** Where its staged files are; beside it when undefined. */
  readonly stagingFolder?: string | undefined;
  readonly restoredPath: string;
  /** Of the restored database. */
  readonly txid: Txid;
  /** For a copy of the live database. */
  readonly folder: string;
}

/** @throws {ReplicaError} `SOURCE_INVALID` when the live database cannot be read. */
export async function compareWithLive(options: CompareLiveOptions): Promise<LiveComparison> {
  const { restoredPath, txid, folder } = options;
  const databasePath = realPath(options.databasePath);
  const { stagingFolder = stagingFolderOf(databasePath) } = options;
  if (!existsSync(databasePath)) refuse(databasePath, "there is no such file");
  const level = join(stagingFolder, "ltx", "0");
  const staged = newestStaged(level);
  if (staged === undefined) return notComparable(`${level} says no TXID: replicated elsewhere?`);
  if (staged !== txid) return notComparable(`it is at TXID ${formatTxid(staged)} already`);
  const copy = join(folder, "live.db");
  const live = beginReading(databasePath);
  let isSameMoment: boolean;
  try {
    // After the transaction has begun: what it does not see must not be in the log either.
    isSameMoment = isEndOfLog(databasePath, join(level, nameOf(txid)));
    await backup(live, copy, { rate: ALL_PAGES });
  } catch (cause) {
    return refuse(databasePath, (cause as Error).message, cause);
  } finally {
    live.close();
  }
  const difference = compareDatabaseFiles(restoredPath, copy);
  if (!difference) return { state: "equal" };
  if (isSameMoment) return { state: "differs", difference };
  return notComparable(
    "it differs, and its log does not show that nothing was committed after this TXID: try again at a quiet moment, while the replicator runs",
  );
}

function newestStaged(level: string): Txid | undefined {
  if (!existsSync(level)) return undefined;
  const txids = readdirSync(level).map((name) => parseLtxFileName(name)?.maxTxid ?? 0n);
  const newest = txids.reduce((max, txid) => (txid > max ? txid : max), 0n);
  return newest === 0n ? undefined : newest;
}

/** Whether the log's last commit is the last that the staged file took from it. */
function isEndOfLog(databasePath: string, stagedPath: string): boolean {
  if (!existsSync(stagedPath)) return false;
  const { walOffset, walSize, walSalt1, walSalt2 } = readHeader(stagedPath);
  using wal = WalFile.open(`${databasePath}-wal`);
  const header = wal?.header();
  if (!wal || header?.salt1 !== walSalt1 || header.salt2 !== walSalt2) return false;
  const start = walStart(header);
  const end = readWalBatch(wal, start)?.end ?? start;
  return end.offset === walOffset + walSize;
}

function readHeader(path: string): LtxHeader {
  const fd = openSync(path, "r");
  try {
    return decodeHeader(readAt(fd, 0, LTX_HEADER_BYTES));
  } finally {
    closeSync(fd);
  }
}

function beginReading(path: string): DatabaseSync {
  try {
    const database = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
    database.exec("BEGIN");
    database.prepare("SELECT count(*) FROM sqlite_schema").get();
    return database;
  } catch (cause) {
    return refuse(path, (cause as Error).message, cause);
  }
}

function nameOf(txid: Txid): string {
  return formatLtxFileName({ minTxid: txid, maxTxid: txid });
}

function notComparable(reason: string): LiveComparison {
  return { state: "not-comparable", reason };
}

function refuse(path: string, reason: string, cause?: unknown): never {
  throw new ReplicaError("SOURCE_INVALID", `cannot read ${path}: ${reason}`, { cause });
}
