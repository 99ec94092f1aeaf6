/**
 * The stamps of LTX files whose listing does not carry them, as on S3: they stand in the files'
 * headers, and only those around the moment that is asked for are read.
 */
import { STORE_REQUESTS_MAX } from "../limits.ts";
import { decodeHeader, LTX_HEADER_BYTES } from "../ltx/header.ts";
import { inParallel } from "./in-parallel.ts";
import type { LtxFileInfo } from "./list-ltx-files.ts";
import type { Replica } from "./ltx-key.ts";

/** Up to so many files of a level are all read: then no assumption about the writer's clock is needed. */
const READ_ALL_MAX = 32;
/** Files read on each side of the moment in a longer level: a clock that stepped back is seen so far. */
const WINDOW = 8;
/** Stamps that are remembered; they are 8 bytes and a key each. */
const REMEMBERED_MAX = 20_000;

/** Stamps by key and ETag, in milliseconds. Kept by a caller that plans more than once. */
export type StampCache = Map<string, number>;

export interface StampOptions {
  readonly beforeMs: number;
  readonly cache: StampCache;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Gives every file of `files`, in any order, a stamp that is right on which side of `beforeMs` it
 * lies. In a long level a file far from the moment gets the stamp of the nearest file that was read.
 */
export async function stampFiles(
  replica: Replica,
  files: readonly LtxFileInfo[],
  options: StampOptions,
): Promise<LtxFileInfo[]> {
  if (options.cache.size > REMEMBERED_MAX) options.cache.clear();
  const levels = Map.groupBy(files, ({ level }) => level);
  const stamped = await inParallel([...levels.values()], STORE_REQUESTS_MAX, (ofLevel) =>
    stampLevel(
      replica,
      ofLevel.toSorted((a, b) => (a.minTxid < b.minTxid ? -1 : 1)),
      options,
    ),
  );
  return stamped.flat();
}

async function stampLevel(
  replica: Replica,
  files: readonly LtxFileInfo[],
  options: StampOptions,
): Promise<LtxFileInfo[]> {
  const stamps: (number | undefined)[] = files.map((file) =>
    file.isStamped ? file.createdAtMs : options.cache.get(cacheKey(file)),
  );
  const read = async (index: number) =>
    (stamps[index] ??= await readStamp(replica, files[index], options));
  const { start, end } =
    files.length <= READ_ALL_MAX
      ? { start: 0, end: files.length }
      : await findWindow(files.length, read, options.beforeMs);
  const indexes = Array.from({ length: end - start }, (_, offset) => start + offset);
  // One level at a time has this many requests; levels run side by side, so it is kept small.
  await inParallel(indexes, STORE_REQUESTS_MAX, read);
  return files.map((file, index) => {
    const nearest = index < start ? start : Math.min(index, end - 1);
    return { ...file, isStamped: true, createdAtMs: stamps[index] ?? stamps[nearest] ?? 0 };
  });
}

/** Finds the first file that is not stamped before the moment by halving, and takes some around it. */
async function findWindow(
  count: number,
  read: (index: number) => Promise<number>,
  beforeMs: number,
): Promise<{ start: number; end: number }> {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((await read(middle)) < beforeMs) low = middle + 1;
    else high = middle;
  }
  return { start: Math.max(0, low - WINDOW), end: Math.min(count, low + WINDOW) };
}

async function readStamp(
  { store }: Replica,
  file: LtxFileInfo,
  { cache, signal }: StampOptions,
): Promise<number> {
  const range = { offset: 0, length: LTX_HEADER_BYTES };
  const stored = await store.get(file.key, { range, signal });
  // Gone since the listing: whatever replaced it covers the moment as well. Never usable for a plan.
  if (!stored) return Number.POSITIVE_INFINITY;
  const { timestampMs } = decodeHeader(stored.bytes);
  cache.set(cacheKey(file), timestampMs);
  return timestampMs;
}

function cacheKey({ key, etag }: LtxFileInfo): string {
  return `${etag} ${key}`;
}
