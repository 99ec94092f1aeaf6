import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { parseTxid, formatTxid, type Txid } from "../../shared/ltx/txid.ts";

/** Where the TXID of a followed database is noted, as Litestream does it. */
export function txidPathOf(databasePath: string): string {
  return `${databasePath}-txid`;
}

/** The TXID that is noted beside a database; undefined where there is none, or no TXID in it. */
export function readTxidFile(databasePath: string): Txid | undefined {
  try {
    return parseTxid(readFileSync(txidPathOf(databasePath), "utf8").trim());
  } catch {
    // Not there, or cut off: either way the database cannot be followed on.
    return undefined;
  }
}

/** Notes a TXID durably: 16 hex digits and a line feed. At once, because it is done under a lock. */
export function writeTxidFile(databasePath: string, txid: Txid): void {
  const path = txidPathOf(databasePath);
  const temporary = `${path}.tmp`;
  const fd = openSync(temporary, "w", 0o644);
  try {
    writeSync(fd, `${formatTxid(txid)}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
  syncFolderOf(path);
}

/** Forces a folder's entries to disk. */
export function syncFolderOf(path: string): void {
  const folder = openSync(dirname(path), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
