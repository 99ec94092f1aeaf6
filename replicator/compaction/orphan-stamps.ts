import { LEVEL_MAX } from "../../shared/limits.ts";
import { listObjects } from "../../shared/replica/list-ltx-files.ts";
import {
  formatOldestKey,
  formatOldestPrefix,
  type LtxKey,
  type Replica,
} from "../../shared/replica/ltx-key.ts";

/**
 * The oldest stamps in a folder whose file is not there: a merge is written after its stamp, and was
 * interrupted in between; the next may have merged other files. To be called while nothing is merged.
 *
 * @param files All that are above level 0.
 * @returns Keys; none in a store that keeps the stamp with its file.
 */
export async function orphanStamps(
  replica: Replica,
  files: readonly LtxKey[],
  signal: AbortSignal,
): Promise<string[]> {
  if (replica.layout !== "folder") return [];
  const wanted = new Set(files.map((file) => formatOldestKey(replica, file)));
  const orphans: string[] = [];
  for (let level = 1; level <= LEVEL_MAX; level++) {
    const prefix = formatOldestPrefix(replica, level);
    for await (const { key } of listObjects(replica, { prefix, signal })) {
      if (!wanted.has(key)) orphans.push(key);
    }
  }
  return orphans;
}
