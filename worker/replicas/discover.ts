import { LEVEL_MAX } from "../../shared/limits.ts";
import { parseLtxFileName } from "../../shared/ltx/file-name.ts";
import type { ListPage, ObjectStore } from "../../shared/storage/object-store.ts";

/** Pages of keys that one search reads at most: each is a Class A operation. */
const LISTS_MAX = 50;
const LEVEL = new RegExp(`^000[0-${LEVEL_MAX}]$`);

export interface Discovery {
  /** Paths of the replicas below the root, in key order. */
  readonly paths: readonly string[];
  /** The search ended at its bound: there may be more. */
  readonly truncated: boolean;
}

/**
 * Finds the replicas below `root`. A database has many keys, so that a search by delimiter level by
 * level would take a list for each folder; this one reads a page, and hops over the rest of each
 * database that it has found.
 *
 * @param root Without slashes at its ends; empty for the whole bucket.
 */
export async function discoverReplicas(
  store: ObjectStore,
  root: string,
  signal?: AbortSignal,
): Promise<Discovery> {
  const prefix = root === "" ? "" : `${root}/`;
  const paths: string[] = [];
  let startAfter: string | undefined;
  for (let lists = 0; lists < LISTS_MAX; lists++) {
    const page = await store.list({ prefix, startAfter, signal });
    for (const { key } of page.objects) {
      const path = replicaPathOf(key.slice(prefix.length));
      if (path !== undefined && path !== paths.at(-1)) paths.push(path);
    }
    if (page.cursor === undefined) return { paths, truncated: false };
    startAfter = nextStart(page, prefix, paths.at(-1)) ?? startAfter;
  }
  return { paths, truncated: true };
}

/** `prod/app.db` for `prod/app.db/0000/<min>-<max>.ltx`; undefined for other keys. */
function replicaPathOf(key: string): string | undefined {
  const [name = "", level = "", ...path] = key.split("/").toReversed();
  if (path.length === 0 || !LEVEL.test(level) || !parseLtxFileName(name)) return undefined;
  const text = path.toReversed().join("/");
  return text === "" ? undefined : text;
}

/**
 * Where to read on: behind the files of the database that the page ends in, or else behind its last key. Not
 * behind all that begins with the database's path: another may lie below it.
 */
function nextStart(page: ListPage, prefix: string, path: string | undefined): string | undefined {
  const last = page.objects.at(-1)?.key;
  if (path === undefined || !last?.startsWith(`${prefix}${path}/`)) return last;
  // "0" is the character after "/", so these keys sort behind all in their folders.
  const afterLevels = `${prefix}${path}/000${LEVEL_MAX}0`;
  if (last < afterLevels) return afterLevels;
  const legacy = `${prefix}${path}/generations`;
  return last.startsWith(`${legacy}/`) ? `${legacy}0` : last;
}
