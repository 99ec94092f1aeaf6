/** What a replicator finds when it starts: in the staging directory, in the store, and in the log. */
import { ReplicaError, isReplicaError } from "../../shared/errors.ts";
import { LEVEL_MAX } from "../../shared/limits.ts";
import { LtxDecoder, type LtxPage } from "../../shared/ltx/decoder.ts";
import { decodeHeader, LTX_HEADER_BYTES, type LtxHeader } from "../../shared/ltx/header.ts";
import { LTX_TRAILER_BYTES } from "../../shared/ltx/trailer.ts";
import type { Txid } from "../../shared/ltx/txid.ts";
import { listLtxFiles, type LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import { formatLtxKey, type Replica } from "../../shared/replica/ltx-key.ts";
import { readInPieces } from "../files/read-in-pieces.ts";
import type { SourceDatabase } from "../source/source-database.ts";
import { readWalBatch, WalFile, walStart, type WalPosition } from "../wal/wal-reader.ts";
import { codeOf } from "../storage/durable-file.ts";
import type { Staging } from "./staging.ts";

export interface StartingPoint {
  /** The newest TXID that is taken, here or in the store. */
  readonly txid: Txid | undefined;
  /** The staged file that the log may be held against; undefined when there is none to go on from. */
  readonly staged: Txid | undefined;
  /** Staged files that the store lacks, ascending. */
  readonly pending: readonly Txid[];
  /** The newest TXID in the store. */
  readonly uploaded: Txid | undefined;
}

export interface ReconcileOptions {
  readonly staging: Staging;
  /** The database as it is now. */
  readonly source: Pick<SourceDatabase, "path" | "pageSize">;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Compares the staging directory with the store.
 *
 * The store has the last word: what is staged goes on only where it is shown to be the same history.
 * Otherwise it is removed, and the database is shipped whole as the TXID after the store's newest.
 *
 * @throws {ReplicaError} `SOURCE_INVALID` when the store's files have pages of another size.
 */
export async function reconcile(
  replica: Replica,
  options: ReconcileOptions,
): Promise<StartingPoint> {
  const { staging, signal } = options;
  const local = await staging.txids();
  const newest = local.at(-1);
  const remote = await newestRemote(replica, newest, signal);
  if (remote) await refuseOtherPageSize(replica, remote, options);
  const pending = await pendingFiles(replica, local, remote, options);
  const uploaded = remote?.maxTxid;
  if (pending && newest !== undefined) {
    // What lies before the newest that is uploaded serves nothing any more.
    for (const txid of local)
      if (uploaded !== undefined && txid < uploaded) await staging.remove(txid);
    return { txid: newest, staged: newest, pending, uploaded };
  }
  await staging.clear();
  return { txid: uploaded, staged: undefined, pending: [], uploaded };
}

/** The newest file at level 0; where that is empty, the one that reaches furthest at any level. */
export async function newestRemote(
  replica: Replica,
  hint: Txid | undefined,
  signal: AbortSignal | undefined,
): Promise<LtxFileInfo | undefined> {
  // Level 0 is not emptied from its end, so whatever it holds from the hint on holds its newest.
  const newest =
    (hint === undefined ? undefined : await lastOf(replica, 0, hint, signal)) ??
    (await lastOf(replica, 0, undefined, signal));
  if (newest) return newest;
  let furthest: LtxFileInfo | undefined;
  for (let level = 1; level <= LEVEL_MAX; level++) {
    const last = await lastOf(replica, level, undefined, signal);
    if (last && (!furthest || last.maxTxid > furthest.maxTxid)) furthest = last;
  }
  return furthest;
}

async function lastOf(
  replica: Replica,
  level: number,
  seek: Txid | undefined,
  signal: AbortSignal | undefined,
): Promise<LtxFileInfo | undefined> {
  let last: LtxFileInfo | undefined;
  for await (const file of listLtxFiles(replica, { level, seek, signal })) {
    if (!last || file.maxTxid > last.maxTxid) last = file;
  }
  return last;
}

async function refuseOtherPageSize(
  { store }: Replica,
  { key }: LtxFileInfo,
  { source, signal }: ReconcileOptions,
): Promise<void> {
  const range = { offset: 0, length: LTX_HEADER_BYTES };
  const head = (await store.get(key, { range, signal }))?.bytes;
  // A damaged file is for whoever reads the replica; it does not keep the database from being shipped.
  const header = head && (await unlessDamaged(() => decodeHeader(head)));
  if (!header || header.pageSize === source.pageSize) return;
  throw new ReplicaError(
    "SOURCE_INVALID",
    `${source.path} has pages of ${source.pageSize} bytes now, the files in the store have ${header.pageSize}: LTX files of two page sizes cannot be merged, so replicate to a new path`,
  );
}

/**
 * The staged files that are still to be uploaded; undefined when what is staged is not shown to
 * continue what the store has, or is damaged.
 */
async function pendingFiles(
  replica: Replica,
  local: readonly Txid[],
  remote: LtxFileInfo | undefined,
  { staging, source, signal }: ReconcileOptions,
): Promise<Txid[] | undefined> {
  const isGapless = local.every((txid, index) => index === 0 || txid === local[index - 1] + 1n);
  if (!isGapless) return undefined;
  const ifSound = async (pending: Txid[]) => {
    for (const txid of pending) {
      const header = await unlessDamaged(() => readStaged(staging, txid));
      if (header?.pageSize !== source.pageSize) return undefined;
    }
    return pending;
  };
  if (!remote) return local[0] === 1n ? await ifSound([...local]) : undefined;
  const shared = local.find((txid) => txid === remote.maxTxid);
  if (shared === undefined || remote.level !== 0) return undefined;
  if (!(await isSameFile(replica, staging, shared, signal))) return undefined;
  return await ifSound(local.filter((txid) => txid > shared));
}

/**
 * Says whether the store holds, as TXID `txid`, the file that is staged: the same header and the
 * same trailer, whose checksum covers all pages.
 */
export async function isSameFile(
  { store, ...place }: Replica,
  staging: Staging,
  txid: Txid,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const key = formatLtxKey(place, { level: 0, minTxid: txid, maxTxid: txid });
  const [head, tail, ours] = await Promise.all([
    store.get(key, { range: { offset: 0, length: LTX_HEADER_BYTES }, signal }),
    store.get(key, { range: { suffix: LTX_TRAILER_BYTES }, signal }),
    unlessDamaged(() => staging.ends(txid)),
  ]);
  if (!head || !tail || !ours || head.totalBytes !== ours.sizeBytes) return false;
  return Buffer.compare(head.bytes, ours.head) === 0 && Buffer.compare(tail.bytes, ours.tail) === 0;
}

/** Where to go on in the log, and the size of the database there, in pages. */
export interface ResumePoint {
  readonly commit: number;
  /** The staged file's stamp. */
  readonly timestampMs: number;
  readonly position: WalPosition;
}

/**
 * Finds the place in the log at which the staged file of `txid` ends: the same beginning of the log,
 * its chain sound up to that place, and every page that the file took from it still the same. Undefined
 * when one of these cannot be shown. To be called under the read lock.
 */
export async function findResumePoint(
  staging: Staging,
  txid: Txid,
  source: SourceDatabase,
): Promise<ResumePoint | undefined> {
  using wal = WalFile.open(source.walPath);
  const walHeader = wal?.header();
  if (!wal || !walHeader) return undefined;
  const pages = new Map<number, Uint8Array>();
  const keep = ({ pgno, data }: LtxPage) => {
    if (pages.size < KEPT_PAGES_MAX) pages.set(pgno, data);
  };
  const header = await unlessDamaged(() => readStaged(staging, txid, keep));
  if (!header) return undefined;
  const { walOffset, walSize, walSalt1, walSalt2, commit, pageSize } = header;
  const isSameLog = walSalt1 === walHeader.salt1 && walSalt2 === walHeader.salt2;
  if (!isSameLog || walSize === 0 || pageSize !== source.pageSize) return undefined;
  const start = walStart(walHeader);
  const end = walOffset + walSize;
  const before =
    walOffset > start.offset ? readWalBatch(wal, start, walOffset - start.offset) : undefined;
  const from = walOffset > start.offset ? before?.end : start;
  if (from?.offset !== walOffset) return undefined;
  const batch = readWalBatch(wal, from, walSize);
  if (batch?.end.offset !== end || batch.commit !== commit) return undefined;
  for (const [pgno, offset] of batch.pages) {
    const staged = pages.get(pgno);
    if (staged && Buffer.compare(staged, wal.read(offset, pageSize)) !== 0) return undefined;
  }
  return { commit, timestampMs: header.timestampMs, position: batch.end };
}

/** A full image is verified as a whole, but not kept: its pages are those of the database. */
const KEPT_PAGES_MAX = 20_000;

/** Reads a staged file to its end, with every check. */
async function readStaged(
  staging: Staging,
  txid: Txid,
  onPage: (page: LtxPage) => void = () => undefined,
): Promise<LtxHeader> {
  const decoder = new LtxDecoder();
  for await (const chunk of readInPieces(staging.pathOf(txid))) {
    for (const page of decoder.push(chunk)) onPage(page);
  }
  const { header } = decoder.finish();
  if (header.minTxid === txid && header.maxTxid === txid) return header;
  throw new ReplicaError("CORRUPT_PAGE", "a staged file holds another TXID than its name says");
}

/** Undefined where `read` finds damage, or a file that somebody removed meanwhile. */
async function unlessDamaged<Result>(
  read: () => Result | Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isReplicaError(error, "CORRUPT_PAGE") || codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
