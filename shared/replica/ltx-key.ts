import { LEVEL_MAX } from "../limits.ts";
import { formatLtxFileName, parseLtxFileName, type TxidRange } from "../ltx/file-name.ts";
import type { ObjectStore } from "../storage/object-store.ts";

/**
 * How Litestream spells levels: in S3's layout four hex digits right below the path, in a folder's
 * layout decimal below `ltx`. The two cannot be told apart by anything but the kind of store.
 */
export type KeyLayout = "s3" | "folder";

/** Where one database's LTX files are. */
export interface Replica {
  readonly store: ObjectStore;
  /** Prefix of all keys, without a slash at its end; empty in a folder store that is rooted at it. */
  readonly path: string;
  readonly layout: KeyLayout;
  /** Absolute path of the folder that the store is; for sentences, which have no other name for it. */
  readonly folder?: string | undefined;
}

/** What an LTX file's key says. */
export interface LtxKey extends TxidRange {
  /** 0 to 9; 9 holds snapshots. */
  readonly level: number;
}

type Place = Pick<Replica, "path" | "layout">;

/** The prefix below which all of a replica's keys lie: the path and a slash. */
export function formatReplicaPrefix({ path, layout }: Place): string {
  // In S3's layout Litestream joins an empty path too, so its keys begin with a slash.
  return path === "" && layout === "folder" ? "" : `${path}/`;
}

/** The prefix of one level's keys, for example `prod/app.db/0009/` or `prod/app.db/ltx/9/`. */
export function formatLevelPrefix(place: Place, level: number): string {
  const prefix = formatReplicaPrefix(place);
  return place.layout === "s3"
    ? `${prefix}${level.toString(16).padStart(4, "0")}/`
    : `${prefix}ltx/${level}/`;
}

/** The key of one LTX file. */
export function formatLtxKey(place: Place, key: LtxKey): string {
  return formatLevelPrefix(place, key.level) + formatLtxFileName(key);
}

/**
 * Where a folder, which keeps one stamp a file, has the stamp of the oldest transaction of a file that
 * was merged: a file of Eddy's own beside Litestream's, whose own stamp it is.
 */
export function formatOldestKey(place: Place, { level, ...range }: LtxKey): string {
  return `${formatOldestPrefix(place, level)}${formatLtxFileName(range).replace(/\.ltx$/, "")}`;
}

/** The prefix of one level's keys of `formatOldestKey`. */
export function formatOldestPrefix(place: Place, level: number): string {
  return `${formatReplicaPrefix(place)}eddy/oldest/${level}-`;
}

/** Reads a key of this replica; undefined when it is not an LTX file's. */
export function parseLtxKey(place: Place, key: string): LtxKey | undefined {
  const slash = key.lastIndexOf("/");
  const range = parseLtxFileName(key.slice(slash + 1));
  if (!range) return undefined;
  const folder = key.slice(0, slash + 1);
  for (let level = 0; level <= LEVEL_MAX; level++) {
    if (folder === formatLevelPrefix(place, level)) return { level, ...range };
  }
  return undefined;
}
