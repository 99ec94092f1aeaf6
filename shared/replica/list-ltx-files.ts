import { parseInstant } from "../instant.ts";
import { formatTxid, type Txid } from "../ltx/txid.ts";
import type { Etag, ObjectInfo } from "../storage/object-store.ts";
import {
  formatLevelPrefix,
  formatOldestKey,
  formatOldestPrefix,
  parseLtxKey,
  type LtxKey,
  type Replica,
} from "./ltx-key.ts";

/** Metadata of every LTX object: the header's timestamp in RFC 3339. */
export const TIMESTAMP_METADATA = "litestream-timestamp";

/** Metadata of our own compacted files: the stamp of their oldest transaction. */
export const OLDEST_METADATA = "eddy-oldest-timestamp";

/** One LTX file as a listing shows it: nothing here needs the file's bytes. */
export interface LtxFileInfo extends LtxKey {
  readonly key: string;
  readonly sizeBytes: number;
  /** When the file was made, where the listing tells; otherwise when it was uploaded. */
  readonly createdAtMs: number;
  /** `createdAtMs` is the file's own stamp; otherwise perhaps the time of its upload. */
  readonly isStamped?: boolean;
  /** Stamp of the oldest transaction in a file that covers several, where the store tells. */
  readonly oldestAtMs?: number;
  readonly etag: Etag;
}

export interface ListLtxFilesOptions {
  readonly level: number;
  /** Skip files whose first transaction comes before this one. */
  readonly seek?: Txid | undefined;
  /** Ask for the stamps of the files too, where a listing can carry them. */
  readonly withTimestamps?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Lists one level's LTX files in transaction order, asking for the next page only when the caller
 * has used up the last. Leaving the loop early costs nothing more. Skips keys that are not LTX
 * files, as Litestream does.
 */
export async function* listLtxFiles(
  replica: Replica,
  { level, seek, withTimestamps, signal }: ListLtxFilesOptions,
): AsyncGenerator<LtxFileInfo, void, undefined> {
  const prefix = formatLevelPrefix(replica, level);
  // A bare TXID sorts just before every name that starts with it, so `startAfter` acts as ">=".
  const startAfter = seek === undefined ? undefined : prefix + formatTxid(seek);
  const oldest =
    withTimestamps && replica.layout === "folder" && level > 0
      ? await Array.fromAsync(
          listObjects(replica, {
            prefix: formatOldestPrefix(replica, level),
            withTimestamps,
            signal,
          }),
        )
      : [];
  const add = oldestStampAdder(replica, oldest);
  for await (const object of listObjects(replica, { prefix, startAfter, withTimestamps, signal })) {
    const file = toLtxFile(replica, object);
    if (file?.level === level) yield add(file);
  }
}

/** Gives LTX files the oldest stamps that stand beside them in a folder; `objects` is a listing of it. */
export function oldestStampAdder(
  replica: Replica,
  objects: readonly ObjectInfo[],
): (file: LtxFileInfo) => LtxFileInfo {
  const stamps = new Map(objects.map(({ key, metadata }) => [key, metadata?.[TIMESTAMP_METADATA]]));
  return (file) => {
    if (replica.layout !== "folder" || file.oldestAtMs !== undefined) return file;
    const oldestAtMs = parseInstant(stamps.get(formatOldestKey(replica, file)) ?? "");
    return oldestAtMs === undefined ? file : { ...file, oldestAtMs };
  };
}

/** Reads a listed object's key; undefined when it is not an LTX file of this replica. */
export function toLtxFile(replica: Replica, object: ObjectInfo): LtxFileInfo | undefined {
  const parsed = parseLtxKey(replica, object.key);
  if (!parsed) return undefined;
  const { key, sizeBytes, etag, metadata, uploadedAtMs } = object;
  const stampMs = parseInstant(metadata?.[TIMESTAMP_METADATA] ?? "");
  const oldestAtMs = parseInstant(metadata?.[OLDEST_METADATA] ?? "");
  const isStamped = stampMs !== undefined;
  const file = { ...parsed, key, sizeBytes, etag, isStamped, createdAtMs: stampMs ?? uploadedAtMs };
  return oldestAtMs === undefined ? file : { ...file, oldestAtMs };
}

export interface ListObjectsOptions {
  readonly prefix: string;
  readonly startAfter?: string | undefined;
  readonly withTimestamps?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One listing, page after page, each asked for when the one before is used up. */
export async function* listObjects(
  { store }: Replica,
  { prefix, startAfter, withTimestamps, signal }: ListObjectsOptions,
): AsyncGenerator<ObjectInfo, void, undefined> {
  let cursor: string | undefined;
  // Bounded by the store: a cursor goes forward and ends with the last key.
  do {
    const position = cursor === undefined ? { startAfter } : { cursor };
    const page = await store.list({ prefix, ...position, withMetadata: withTimestamps, signal });
    yield* page.objects;
    cursor = page.cursor;
  } while (cursor !== undefined);
}
