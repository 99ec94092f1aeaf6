import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { compareKeys } from "../../shared/storage/key-order.ts";
import { codeOf, TEMPORARY_SUFFIX } from "./durable-file.ts";

export interface FolderWalk {
  readonly root: string;
  /** Only keys that begin with it; folders that cannot hold one are not read. */
  readonly prefix: string;
  /** Only keys after it, in byte order. */
  readonly startAfter?: string | undefined;
}

/**
 * Yields the keys of the files below a folder in byte order, reading one folder at a time. Leaves
 * out unfinished files, and what is neither file nor folder.
 */
export function walkFolder(walk: FolderWalk): AsyncGenerator<string, void, undefined> {
  // The last folder that the prefix names completely: nothing above it needs reading.
  const folder = walk.prefix.slice(0, walk.prefix.lastIndexOf("/") + 1);
  return walkBelow(walk, folder);
}

/** Says whether a key can begin so: `..` would leave the root, and no key has an empty part. */
function isPossible(folder: string): boolean {
  const parts = folder.split("/").slice(0, -1);
  return parts.every(
    (part) => part !== "" && part !== "." && part !== ".." && !part.includes("\0"),
  );
}

async function* walkBelow(
  walk: FolderWalk,
  folder: string,
): AsyncGenerator<string, void, undefined> {
  const { root, prefix, startAfter } = walk;
  if (!isPossible(folder)) return;
  const names: string[] = [];
  for (const entry of await entriesOf(join(root, folder))) {
    const key = folder + entry.name;
    if (entry.isFile() && !key.endsWith(TEMPORARY_SUFFIX)) names.push(key);
    // With its slash a folder sorts where the keys below it do.
    if (entry.isDirectory()) names.push(`${key}/`);
  }
  for (const name of names.sort(compareKeys)) {
    const isFolder = name.endsWith("/");
    const fits = name.startsWith(prefix) || (isFolder && prefix.startsWith(name));
    if (!fits || isPassed(name, startAfter)) continue;
    if (isFolder) yield* walkBelow(walk, name);
    else yield name;
  }
}

/** Says whether nothing at or below `name` comes after `startAfter`. */
function isPassed(name: string, startAfter: string | undefined): boolean {
  if (startAfter === undefined || compareKeys(name, startAfter) > 0) return false;
  return !(name.endsWith("/") && startAfter.startsWith(name));
}

async function entriesOf(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    // Not there, removed meanwhile, or a file where a key has a folder: no keys.
    if (["ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "")) return [];
    throw error;
  }
}
