import { closeSync, openSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { ReplicaError, isReplicaError, throwIfAborted } from "../../shared/errors.ts";
import { assert } from "../../shared/assert.ts";
import { parseInstant } from "../../shared/instant.ts";
import { LTX_HEADER_BYTES } from "../../shared/ltx/header.ts";
import { compactLtx } from "../../shared/ltx/compactor.ts";
import type { PageCodec } from "../../shared/ltx/page-frame.ts";
import { openLtx, type OpenLtx } from "../../shared/ltx/open-ltx.ts";
import { OLDEST_METADATA, type LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { readAt } from "../files/read-at.ts";
import { readInOrder } from "../restore/read-in-order.ts";
import { writeWorkFile } from "../storage/work-file.ts";
import { storeLtx, verifyLtx, type StoredLtx } from "./store-ltx.ts";

/** All inputs together read ahead by about so much, in bytes. */
const READ_AHEAD_BYTES = 8 * 1024 * 1024;
const CHUNK_BYTES_MIN = 16 * 1024;
const CHUNK_BYTES_MAX = 256 * 1024;

export interface CompactionOptions {
  readonly replica: Replica;
  /** The level to be written. */
  readonly level: number;
  /** What to merge, in TXID order and without a gap: `planCompaction` chooses it. */
  readonly files: readonly LtxFileInfo[];
  /** Where files are put while it runs; nothing stays there. */
  readonly folder: string;
  /** Path of a copy on this machine, which spares the read from the store. */
  readonly localPath?: ((file: LtxFileInfo) => string | undefined) | undefined;
  /** How pages are compressed. */
  readonly codec?: PageCodec | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Merges LTX files into one of the level above, and puts it into the store. When this returns, the result
 * has been decoded whole and found in the store with its last bytes: its sources are replaced.
 *
 * @throws {ReplicaError} `OBJECT_MISSING`, `CORRUPT_PAGE` when a source is damaged in the store,
 *   `STORE_CONFLICT` when another file is under the key, and what the store throws.
 */
export async function runCompaction(options: CompactionOptions): Promise<StoredLtx> {
  try {
    return await compact(options);
  } catch (error) {
    if (!options.localPath || !isReplicaError(error, "CORRUPT_PAGE")) throw error;
    // It may be a copy that is damaged: what counts is in the store.
    return await compact({ ...options, localPath: undefined });
  }
}

async function compact(options: CompactionOptions): Promise<StoredLtx> {
  const { folder, replica, level, signal } = options;
  await using cleanup = new AsyncDisposableStack();
  const sources = await openSources(options, cleanup);
  const name = join(folder, `compaction-${level}.ltx`);
  const output = cleanup.use(await writeWorkFile(name, merge(sources, options), signal));
  const summary = await verifyLtx(output.path);
  const oldestAtMs = await oldestStampMs(options, sources[0]);
  return await storeLtx(replica, output.path, summary, { level, oldestAtMs, signal });
}

interface Source extends OpenLtx {
  readonly file: LtxFileInfo;
}

async function openSources(
  options: CompactionOptions,
  cleanup: AsyncDisposableStack,
): Promise<Source[]> {
  const { files } = options;
  const evenly = Math.floor(READ_AHEAD_BYTES / files.length);
  const chunkBytes = Math.min(CHUNK_BYTES_MAX, Math.max(CHUNK_BYTES_MIN, evenly));
  const sources: Source[] = [];
  for (const file of files) {
    const path = localCopy(file, options) ?? (await download(file, options, cleanup));
    const fd = openSync(path, "r");
    cleanup.defer(() => closeSync(fd));
    const source = openLtx(readChunks(fd, chunkBytes));
    const { minTxid, maxTxid } = source.header;
    if (minTxid !== file.minTxid || maxTxid !== file.maxTxid) {
      throw new ReplicaError("CORRUPT_PAGE", `"${file.key}" holds other TXIDs than its name says`);
    }
    sources.push({ file, ...source });
  }
  return sources;
}

/** The local copy, where there is one of the right size. Nothing is awaited until it is open: it may be removed at any time. */
function localCopy(file: LtxFileInfo, { localPath }: CompactionOptions): string | undefined {
  const path = localPath?.(file);
  if (path === undefined) return undefined;
  return statSync(path, { throwIfNoEntry: false })?.size === file.sizeBytes ? path : undefined;
}

async function download(
  file: LtxFileInfo,
  { replica, folder, signal }: CompactionOptions,
  cleanup: AsyncDisposableStack,
): Promise<string> {
  const body = readInOrder(replica.store, file, signal);
  const name = join(folder, `source-${file.level}-${basename(file.key)}`);
  return cleanup.use(await writeWorkFile(name, body, signal)).path;
}

function* readChunks(fd: number, chunkBytes: number): Generator<Uint8Array> {
  for (let offset = 0; ; offset += chunkBytes) {
    const chunk = readAt(fd, offset, chunkBytes);
    if (chunk.length > 0) yield chunk;
    if (chunk.length < chunkBytes) return;
  }
}

async function* merge(
  sources: readonly Source[],
  { codec, signal }: CompactionOptions,
): AsyncGenerator<Uint8Array> {
  for (const chunk of compactLtx(sources, { codec })) {
    throwIfAborted(signal);
    yield chunk;
  }
}

/** The stamp of the first transaction: a file that was merged itself keeps it in its metadata, which not every listing shows. */
async function oldestStampMs(
  { replica, signal }: CompactionOptions,
  source: Source | undefined,
): Promise<number> {
  assert(source, "there is something to merge");
  const { file, header } = source;
  if (file.oldestAtMs !== undefined) return file.oldestAtMs;
  if (file.minTxid === file.maxTxid) return header.timestampMs;
  const range = { offset: 0, length: LTX_HEADER_BYTES };
  const stored = await replica.store.get(file.key, { range, signal });
  return parseInstant(stored?.metadata[OLDEST_METADATA] ?? "") ?? header.timestampMs;
}
