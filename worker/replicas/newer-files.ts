import { ReplicaError, isReplicaError } from "../../shared/errors.ts";
import { STORE_REQUESTS_MAX } from "../../shared/limits.ts";
import { decodeHeader } from "../../shared/ltx/header.ts";
import type { Txid } from "../../shared/ltx/txid.ts";
import { inParallel } from "../../shared/replica/in-parallel.ts";
import type { LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import { fileIdentity, openLtxFile, WHOLE_BYTES_MAX } from "../../shared/replica/ltx-file.ts";
import { formatLtxKey, type Replica } from "../../shared/replica/ltx-key.ts";
import type { PageCache } from "../../shared/replica/page-cache.ts";
import type { OpenFileCache } from "../../shared/replica/snapshot.ts";
import type { StoredBytes } from "../../shared/storage/object-store.ts";
import { withBeginning } from "./begun-object.ts";

/** What a look for a file reads of it, in bytes: all of it, but for a large transaction. */
const PROBE_BYTES = 256 * 1024;

/** Files that are listed and larger than this together are opened by their indexes. In bytes. */
const LISTED_BYTES_MAX = 16 * 1024 * 1024;

/** Where what was read goes. */
export interface OpenInto {
  readonly cache: PageCache;
  readonly files: OpenFileCache;
  readonly signal?: AbortSignal | undefined;
}

/** A file that was found by asking for its key. */
export interface FoundFile {
  readonly info: LtxFileInfo;
  readonly beginning: StoredBytes;
}

/**
 * Asks for the level-0 file of one transaction, and for its content in the same request. Undefined
 * when there is none.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE`, naming the object, when it is no LTX file.
 */
export async function probeFile(
  replica: Replica,
  txid: Txid,
  signal: AbortSignal | undefined,
): Promise<FoundFile | undefined> {
  const place = { level: 0, minTxid: txid, maxTxid: txid };
  const key = formatLtxKey(replica, place);
  const range = { offset: 0, length: PROBE_BYTES };
  const beginning = await replica.store.get(key, { range, signal });
  if (!beginning) return undefined;
  const createdAtMs = stampOf(key, beginning.bytes);
  const { totalBytes: sizeBytes, etag } = beginning;
  return { info: { ...place, key, sizeBytes, createdAtMs, isStamped: true, etag }, beginning };
}

/**
 * Opens a file that was found, with what was read of it; asks only for what lies beyond that. Up to
 * 4 MiB that is all of it: then its pages can be verified.
 */
export async function openFound(
  replica: Replica,
  { info, beginning }: FoundFile,
  { cache, files, signal }: OpenInto,
): Promise<void> {
  const store = withBeginning(replica.store, info.key, beginning);
  const options = { cache, wholeBytesMax: WHOLE_BYTES_MAX, signal };
  files.set(fileIdentity(info), await openLtxFile({ ...replica, store }, info, options));
}

/** Opens files that were listed and not opened yet, six at a time, and as `openFound` does. */
export async function openListed(
  replica: Replica,
  infos: readonly LtxFileInfo[],
  { cache, files, signal }: OpenInto,
): Promise<void> {
  const unopened = infos.filter((info) => !files.get(fileIdentity(info)));
  const sizeBytes = unopened.reduce((sum, info) => sum + info.sizeBytes, 0);
  const wholeBytesMax = sizeBytes > LISTED_BYTES_MAX ? undefined : WHOLE_BYTES_MAX;
  await inParallel(unopened, STORE_REQUESTS_MAX, async (info) => {
    const file = await openLtxFile(replica, info, { cache, wholeBytesMax, signal });
    files.set(fileIdentity(info), file);
  });
}

function stampOf(key: string, bytes: Uint8Array): number {
  try {
    return decodeHeader(bytes).timestampMs;
  } catch (cause) {
    if (!isReplicaError(cause, "CORRUPT_PAGE")) throw cause;
    throw new ReplicaError("CORRUPT_PAGE", `"${key}" is damaged: ${cause.message}`, { cause });
  }
}
