import { closeSync, openSync, readdirSync, readSync, statSync, type Stats } from "node:fs";
import { join, relative } from "node:path";
import { globExpression } from "../config/glob.ts";
import type { FolderConfig } from "../config/config.ts";

/** What every SQLite file begins with. */
const MAGIC = Buffer.from("SQLite format 3\0", "latin1");
/** A folder of more is not walked to its end. */
const FILES_MAX = 100_000;

export interface FoundDatabases {
  /** Path of each database below the folder, with slashes. */
  readonly databases: readonly string[];
  /** What was left out although it matches, each with a reason that begins with its path. */
  readonly leftOut: readonly string[];
  /** The folders that were looked through, absolute. */
  readonly folders: readonly string[];
}

/**
 * Looks for the databases of a folder.
 *
 * @param isOpen Says whether a file is a database that this process has open. Such a file must not be
 *   looked into: closing it again would drop all locks that the process holds on it.
 */
export function findDatabases(
  { folder, pattern, recursive }: Pick<FolderConfig, "folder" | "pattern" | "recursive">,
  isOpen: (file: Stats) => boolean,
): FoundDatabases {
  const expression = globExpression(pattern);
  const [databases, leftOut, folders]: [string[], string[], string[]] = [[], [], []];
  const pending = [folder];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (databases.length + leftOut.length > FILES_MAX) break;
    const entries = attempt(next, () => readdirSync(next, { withFileTypes: true }), leftOut);
    if (entries === undefined) continue;
    folders.push(next);
    for (const entry of entries) {
      const path = join(next, entry.name);
      const isFolder = entry.isDirectory();
      if (isFolder && recursive && !isStaging(entry.name)) pending.push(path);
      // As Litestream does: a link is followed to a file, and never to a folder.
      if (isFolder || !expression.test(entry.name) || isSidecar(entry.name)) continue;
      const file = statSync(path, { throwIfNoEntry: false });
      // An empty file is a database that its application has only begun.
      if (!file?.isFile() || file.size === 0) continue;
      const head = isOpen(file) ? MAGIC : attempt(path, () => readHead(path), leftOut);
      if (head?.equals(MAGIC)) databases.push(relative(folder, path));
      else if (head) leftOut.push(`${path} is not a SQLite database`);
    }
  }
  return { databases: databases.toSorted(), leftOut, folders };
}

/** Files beside a database that are parts of it. */
export function isSidecar(name: string): boolean {
  return /-(wal|shm|journal)$/.test(name);
}

/** Ours and Litestream's; there is a database of our own in it. */
export function isStaging(name: string): boolean {
  return name.startsWith(".") && name.endsWith("-litestream");
}

function attempt<Result>(path: string, read: () => Result, leftOut: string[]): Result | undefined {
  try {
    return read();
  } catch (error) {
    // Not there, or not ours to read: the next look may tell otherwise.
    leftOut.push(`${path} cannot be read (${(error as Error).message})`);
    return undefined;
  }
}

function readHead(path: string): Buffer {
  const head = Buffer.alloc(MAGIC.length);
  const fd = openSync(path, "r");
  try {
    readSync(fd, head, 0, head.length, 0);
  } finally {
    closeSync(fd);
  }
  return head;
}
