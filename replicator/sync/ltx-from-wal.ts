import { HEADER_FLAG_NO_CHECKSUM, type LtxHeader } from "../../shared/ltx/header.ts";
import type { LtxPage } from "../../shared/ltx/decoder.ts";
import { toTxid, type Txid } from "../../shared/ltx/txid.ts";
import { lockPgno } from "../../shared/sqlite/database-header.ts";
import type { SourceDatabase } from "../source/source-database.ts";
import type { PgnoSet } from "./pgno-set.ts";
import { WAL_HEADER_BYTES } from "../wal/wal-header.ts";
import type { WalBatch, WalFile } from "../wal/wal-reader.ts";

/** One LTX file to be written: what the encoder takes. */
export interface LtxSource {
  readonly header: LtxHeader;
  readonly pageCount: number;
  readonly pages: Iterable<LtxPage>;
}

export interface LtxSourceOptions {
  readonly source: SourceDatabase;
  /** Absent when there is no log. */
  readonly wal: WalFile | undefined;
  readonly txid: Txid;
  readonly timestampMs: number;
}

/**
 * What one stretch of the log changed. Where the database has grown, every page that it grew by is in
 * it: SQLite may commit a larger size without ever writing some of the new pages to the log.
 */
export function incrementalLtx(
  batch: WalBatch,
  previousCommit: number,
  options: LtxSourceOptions,
): LtxSource {
  const { source } = options;
  const lock = lockPgno(source.pageSize);
  const pgnos = new Set([...batch.pages.keys()].filter((pgno) => pgno <= batch.commit));
  for (let pgno = previousCommit + 1; pgno <= batch.commit; pgno++) pgnos.add(pgno);
  pgnos.delete(lock);
  const ascending = Uint32Array.from(pgnos).sort();
  return {
    header: headerOf(batch.commit, options, batch),
    pageCount: ascending.length,
    pages: readPages(ascending, batch.pages, options),
  };
}

/**
 * The whole database: the newest version of every page, from the log where it has one and from the
 * database file otherwise.
 */
export function fullLtx(batch: WalBatch | undefined, options: LtxSourceOptions): LtxSource {
  const { source } = options;
  const commit = batch?.commit ?? source.pageCountOnDisk();
  return {
    header: headerOf(commit, options, batch),
    pageCount: imagePageCount(commit, source.pageSize),
    pages: readPages(imagePgnos(commit, source.pageSize), batch?.pages ?? new Map(), options),
  };
}

/** What `fullLtx` gives, with those of its pages only that `pgnos` holds. */
export function partialLtx(
  { header }: LtxSource,
  pgnos: PgnoSet,
  batch: WalBatch | undefined,
  options: LtxSourceOptions,
): LtxSource {
  const pages = readPages(pgnos, batch?.pages ?? new Map(), options);
  return { header, pageCount: pgnos.size, pages };
}

/** Pages of a database of `commit` pages that an image of it holds: all but the lock page. */
export function imagePageCount(commit: number, pageSize: number): number {
  return commit - (lockPgno(pageSize) <= commit ? 1 : 0);
}

function* imagePgnos(commit: number, pageSize: number): Generator<number> {
  const lock = lockPgno(pageSize);
  for (let pgno = 1; pgno <= commit; pgno++) if (pgno !== lock) yield pgno;
}

/** What a snapshot is of: the database at a TXID that is captured already. */
export interface SnapshotPoint {
  readonly txid: Txid;
  readonly commit: number;
  readonly timestampMs: number;
}

/**
 * The whole database as it was at a TXID that the log still reaches back to: `batch` holds the log up
 * to there. Nothing that was committed later may be in the database file yet.
 */
export function snapshotLtx(
  { txid, commit, timestampMs }: SnapshotPoint,
  batch: WalBatch | undefined,
  { source, wal }: Pick<LtxSourceOptions, "source" | "wal">,
): LtxSource {
  const options = { source, wal, txid, timestampMs };
  return {
    header: { ...headerOf(commit, options, undefined), minTxid: toTxid(1n), walOffset: 0 },
    pageCount: imagePageCount(commit, source.pageSize),
    pages: readPages(imagePgnos(commit, source.pageSize), batch?.pages ?? new Map(), options),
  };
}

/** A page's bytes hold until the next is taken. */
function* readPages(
  pgnos: Iterable<number>,
  inWal: ReadonlyMap<number, number>,
  { source, wal }: LtxSourceOptions,
): Generator<LtxPage> {
  const runs = source.pageRuns();
  for (const pgno of pgnos) {
    const offset = inWal.get(pgno);
    const data = offset === undefined || !wal ? runs.read(pgno) : wal.read(offset, source.pageSize);
    yield { pgno, data };
  }
}

/**
 * The coordinates in the log are what Litestream resumes by. Without a log they are its very
 * beginning: an offset of 0 would stop a Litestream that takes the replica over.
 */
function headerOf(
  commit: number,
  { source, txid, timestampMs }: LtxSourceOptions,
  batch: WalBatch | undefined,
): LtxHeader {
  const walOffset = batch?.start.offset ?? WAL_HEADER_BYTES;
  return {
    flags: HEADER_FLAG_NO_CHECKSUM,
    pageSize: source.pageSize,
    commit,
    minTxid: txid,
    maxTxid: txid,
    timestampMs,
    preApplyChecksum: 0n,
    walOffset,
    walSize: batch ? batch.end.offset - walOffset : 0,
    walSalt1: batch?.end.header.salt1 ?? 0,
    walSalt2: batch?.end.header.salt2 ?? 0,
    nodeId: 0n,
  };
}
