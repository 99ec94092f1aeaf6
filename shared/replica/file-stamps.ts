/**
 * The stamps of LTX files whose listing does not carry them, as on S3: they stand in the files'
 * headers, and only those around the moment that is asked for are read.
 */
import { ReplicaError, isReplicaError } from "../errors.ts";
import { STORE_REQUESTS_MAX } from "../limits.ts";
import { decodeHeader, LTX_HEADER_BYTES, type LtxHeader } from "../ltx/header.ts";
import { slots, type Slots } from "./limit-requests.ts";
import type { LtxFileInfo } from "./list-ltx-files.ts";
import type { Replica } from "./ltx-key.ts";
import { readObject } from "./read-object.ts";

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
 *
 * @throws {ReplicaError} `OBJECT_MISSING` when a file has gone since it was listed, `CORRUPT_PAGE`.
 */
export async function stampFiles(
  replica: Replica,
  files: readonly LtxFileInfo[],
  options: StampOptions,
): Promise<LtxFileInfo[]> {
  if (options.cache.size > REMEMBERED_MAX) options.cache.clear();
  const inTurn = slots(STORE_REQUESTS_MAX);
  const levels = [...Map.groupBy(files, ({ level }) => level).values()];
  const stamped = await Promise.all(
    levels.map((ofLevel) => stampLevel(replica, ofLevel.toSorted(byName), { ...options, inTurn })),
  );
  return stamped.flat();
}

interface ReadOptions extends StampOptions {
  readonly inTurn: Slots;
}

async function stampLevel(
  replica: Replica,
  files: readonly LtxFileInfo[],
  options: ReadOptions,
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
  await Promise.all(files.slice(start, end).map((_, offset) => read(start + offset)));
  const before = Math.min(stamps[start] ?? 0, options.beforeMs - 1);
  const notBefore = Math.max(stamps[end - 1] ?? 0, options.beforeMs);
  return files.map((file, index) => {
    const createdAtMs = stamps[index] ?? (index < start ? before : notBefore);
    return { ...file, isStamped: true, createdAtMs };
  });
}

function byName(a: LtxFileInfo, b: LtxFileInfo): number {
  return Number(a.minTxid - b.minTxid) || Number(a.maxTxid - b.maxTxid);
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
  replica: Replica,
  file: LtxFileInfo,
  { cache, inTurn, signal }: ReadOptions,
): Promise<number> {
  const range = { offset: 0, length: LTX_HEADER_BYTES };
  const { bytes } = await inTurn(() => readObject(replica, file, range, signal));
  const { timestampMs } = readHeader(file, bytes);
  cache.set(cacheKey(file), timestampMs);
  return timestampMs;
}

function readHeader({ key }: LtxFileInfo, bytes: Uint8Array): LtxHeader {
  try {
    return decodeHeader(bytes);
  } catch (cause) {
    if (!isReplicaError(cause, "CORRUPT_PAGE")) throw cause;
    throw new ReplicaError("CORRUPT_PAGE", `"${key}" is damaged: ${cause.message}`, { cause });
  }
}

function cacheKey({ key, etag }: LtxFileInfo): string {
  return `${etag} ${key}`;
}
