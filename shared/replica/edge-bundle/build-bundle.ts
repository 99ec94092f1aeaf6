/** From a replica to its bundle: every file of the plan is read once, whole. */
import { assert } from "../../assert.ts";
import { ReplicaError, isReplicaError } from "../../errors.ts";
import { decodeHeader, LTX_HEADER_BYTES } from "../../ltx/header.ts";
import { formatTxid, type Txid } from "../../ltx/txid.ts";
import type { LtxFileInfo } from "../list-ltx-files.ts";
import { listAllFiles, refuseWithoutLtx } from "../load-plan.ts";
import type { Replica } from "../ltx-key.ts";
import { readObject } from "../read-object.ts";
import { childPgnos } from "../../sqlite/btree-page.ts";
import { decodePageFrame } from "../../ltx/page-frame.ts";
import { BaseWriter } from "./base-writer.ts";
import type { BaseReference } from "./bundle-format.ts";
import { chooseFiles, type ChosenFiles } from "./choose-files.ts";
import { chooseHot } from "./choose-hot.ts";
import { encodeHead, type HeadContent } from "./head-format.ts";
import { LocationTable } from "./location-table.ts";
import { scanFiles, type ScannedFile } from "./scan-files.ts";
import { ScannedState } from "./scanned-state.ts";
import { readSchemaPages } from "./schema-pages.ts";

/** Where a bundle goes: the base first, as the head names it. */
export interface BundleSink {
  base(
    reference: Pick<BaseReference, "txid" | "id">,
    body: AsyncIterable<Uint8Array>,
  ): Promise<void>;
  head(bytes: Uint8Array): Promise<void>;
}

export interface BuildBundleOptions {
  /** Called as bytes of LTX files were read. */
  readonly onProgress?: ((progress: BuildProgress) => void) | undefined;
  /** What the pages in the head may take, in bytes. */
  readonly hotBytesMax?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface BuildProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** What a bundle came to. */
export interface BundleReport {
  readonly txid: Txid;
  /** Size of the database, in pages. */
  readonly commit: number;
  readonly pageSize: number;
  /** LTX files that it names. */
  readonly files: number;
  readonly headBytes: number;
  readonly hotPages: number;
  readonly deltaPages: number;
  readonly base: BaseReference;
  /** Interior pages that the base has. */
  readonly interiorPages: number;
  /** False when the base that was there went on being used. */
  readonly isBaseNew: boolean;
}

/**
 * Builds a replica's bundle at its newest TXID from nothing but its LTX files. Begins again, once, when
 * one of them goes meanwhile. Memory: 16 bytes a page, and the interior pages as they are compressed.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE`, naming the object, when a file is damaged or a page missing;
 *   what planning throws; `ABORTED`.
 */
export async function buildBundle(
  replica: Replica,
  sink: BundleSink,
  options: BuildBundleOptions = {},
): Promise<BundleReport> {
  try {
    return await buildOnce(replica, sink, options);
  } catch (error) {
    if (!isReplicaError(error, "OBJECT_MISSING")) throw error;
    return await buildOnce(replica, sink, options);
  }
}

async function buildOnce(
  replica: Replica,
  sink: BundleSink,
  options: BuildBundleOptions,
): Promise<BundleReport> {
  const { signal } = options;
  const listed = await listAllFiles(replica, signal);
  if (listed.length === 0) await refuseWithoutLtx(replica, signal);
  return buildFrom(replica, chooseFiles(listed), sink, options);
}

async function buildFrom(
  replica: Replica,
  { base, delta }: ChosenFiles,
  sink: BundleSink,
  { onProgress, hotBytesMax, signal }: BuildBundleOptions,
): Promise<BundleReport> {
  const files = [...base, ...delta];
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let doneBytes = 0;
  const onBytes = (bytes: number) => {
    doneBytes += bytes;
    onProgress?.({ doneBytes, totalBytes });
  };
  const ends = await Promise.all([
    readHeader(replica, base.at(-1), signal),
    readHeader(replica, files.at(-1), signal),
  ]);
  const { pageSize } = ends[0];
  const commitMax = Math.max(...ends.map(({ commit }) => commit));
  const state = new ScannedState({ replica, files, pageSize, commitMax, signal });
  const scanned = await scanFiles(replica, base, {
    firstFile: 0,
    onPage: (page) => state.take(page),
    onBytes,
    signal,
  });
  const { reference, writer } = await writeBase(state, scanned, sink);
  const newer = new Set<number>();
  const scannedDelta = await scanFiles(replica, delta, {
    firstFile: base.length,
    onPage(page) {
      newer.add(page.pgno);
      state.take(page);
    },
    onBytes,
    signal,
  });
  const all = [...scanned, ...scannedDelta];
  const { commit, file } = newestOf(all);
  refuseMissing(state, commit, file.maxTxid);
  const records = new Map([...writer.records].filter(([pgno]) => !newer.has(pgno)));
  const content: HeadContent = {
    pageSize,
    commit,
    txid: file.maxTxid,
    timestampMs: file.timestampMs,
    files: all.map((each) => each.file),
    base: reference,
    delta: deltaOf(state, newer, commit),
    ...(await chooseHot(state.source(commit, records), hotBytesMax)),
  };
  const bytes = encodeHead(content);
  await sink.head(bytes);
  return {
    txid: content.txid,
    commit,
    pageSize,
    files: all.length,
    headBytes: bytes.length,
    hotPages: content.hot.length,
    deltaPages: content.delta.length,
    base: reference,
    interiorPages: writer.records.size,
    isBaseNew: true,
  };
}

/** Encodes the base of what was scanned so far, piece by piece, into the sink. */
async function writeBase(state: ScannedState, scanned: readonly ScannedFile[], sink: BundleSink) {
  const { commit, pageSize, file } = newestOf(scanned);
  const files = scanned.map((each) => each.file);
  refuseMissing(state, commit, file.maxTxid);
  const { roots } = await readSchemaPages((pgno) => state.read(pgno), commit);
  const levels = state.levels([1, ...roots], commit);
  const writer = new BaseWriter({ pageSize, commit, txid: file.maxTxid, files });
  let reference: BaseReference | undefined;
  async function* body() {
    yield writer.begin();
    for (const level of levels.toReversed()) {
      for (const pgno of level) yield writer.record(recordOf(state, pgno));
    }
    for (let part = 0; part < writer.partCount; part++) {
      yield writer.part((pgno) => state.locate(pgno));
    }
    const end = writer.finish();
    reference = end.reference;
    yield end.bytes;
  }
  await sink.base({ txid: file.maxTxid, id: writer.id }, body());
  assert(reference, "a base is taken to its end");
  return { reference, writer };
}

function recordOf(state: ScannedState, pgno: number) {
  const frame = state.frame(pgno);
  const location = state.locate(pgno);
  assert(frame && location, "an interior page is among those that were scanned");
  const { page } = decodePageFrame(frame, state.pageSize);
  const pgnos = [...(childPgnos(pgno, page) ?? [])];
  const children = pgnos.map((child) => ({ pgno: child, location: state.locate(child) }));
  return { pgno, frame, location, children };
}

function deltaOf(state: ScannedState, newer: ReadonlySet<number>, commit: number): LocationTable {
  const pgnos = [...newer].filter((pgno) => pgno <= commit).toSorted((a, b) => a - b);
  const table = new LocationTable(pgnos.length);
  for (const pgno of pgnos) {
    const location = state.locate(pgno);
    assert(location, "a newer page was scanned");
    table.append(pgno, location);
  }
  return table;
}

function newestOf(scanned: readonly ScannedFile[]): ScannedFile {
  const newest = scanned.at(-1);
  assert(newest, "a plan holds at least one file");
  return newest;
}

function refuseMissing(state: ScannedState, commit: number, txid: Txid): void {
  const missing = state.firstMissing(commit);
  if (missing === undefined) return;
  const sentence = `page ${missing} of ${commit} is in none of the LTX files that make TXID ${formatTxid(txid)}`;
  throw new ReplicaError("CORRUPT_PAGE", sentence);
}

async function readHeader(
  replica: Replica,
  info: LtxFileInfo | undefined,
  signal: AbortSignal | undefined,
) {
  assert(info, "a plan holds at least one file");
  const range = { offset: 0, length: LTX_HEADER_BYTES };
  const { bytes } = await readObject(replica, info, range, signal);
  try {
    return decodeHeader(bytes);
  } catch (cause) {
    const sentence = `"${info.key}" is damaged: ${(cause as Error).message}`;
    throw new ReplicaError("CORRUPT_PAGE", sentence, { cause });
  }
}
