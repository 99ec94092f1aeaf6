import { statSync } from "node:fs";
import { ReplicaError, isReplicaError } from "../../shared/errors.ts";
import type { LtxHeader } from "../../shared/ltx/header.ts";
import type { LtxSummary } from "../../shared/ltx/decoder.ts";
import { nextTxid, type Txid } from "../../shared/ltx/txid.ts";
import type { SourceDatabase } from "../source/source-database.ts";
import { isSameLog, isSameWal, type WalHeader } from "../wal/wal-header.ts";
import {
  hasLastTransaction,
  hasWalFrames,
  readWalBatch,
  readWalHeader,
  WalFile,
  walFrameCount,
  walStart,
  type WalPosition,
} from "../wal/wal-reader.ts";
import { decideCapture, type CaptureDecision, type CapturePosition } from "./decide-capture.ts";
import { fullLtx, incrementalLtx } from "./ltx-from-wal.ts";
import { DisturbedError, encodeInPieces, readAll, replay } from "./ltx-pieces.ts";
import type { ResumePoint } from "./reconcile.ts";
import { snapshotPieces } from "./snapshot-pieces.ts";
import type { StagedFile, Staging } from "./staging.ts";

/** What one LTX file takes from the log at most before it ends at a commit, as Litestream's. In bytes. */
const BATCH_BYTES_MAX = 64 * 1024 * 1024;
/** The log can be begun anew once while a full image is read, never twice: see `holdReadLock`. */
const IMAGE_ATTEMPTS = 3;

/** An LTX file that is in memory only. */
export interface HeldFile {
  readonly sizeBytes: number;
  readonly finish: () => Promise<StagedFile>;
}

export interface WalCaptureOptions {
  readonly source: SourceDatabase;
  readonly staging: Staging;
  readonly now: () => number;
  /** The newest TXID that is taken, here or in the store. */
  readonly txid: Txid | undefined;
}

/** Turns what the application commits into staged LTX files, one TXID each, without a gap. */
export class WalCapture {
  readonly #source: SourceDatabase;
  readonly #staging: Staging;
  readonly #now: () => number;
  #txid: Txid | undefined;
  #commit = 0;
  #timestampMs = 0;
  #position: CapturePosition;

  constructor({ source, staging, now, txid }: WalCaptureOptions) {
    this.#source = source;
    this.#staging = staging;
    this.#now = now;
    this.#txid = txid;
  }

  /** The newest TXID that is staged. */
  get txid(): Txid | undefined {
    return this.#txid;
  }

  /** Bytes of the log that have been read: what a checkpoint would set free. */
  get walBytes(): number {
    return typeof this.#position === "object" ? this.#position.offset : 0;
  }

  /** Up to where the log has been captured. */
  get position(): CapturePosition {
    return this.#position;
  }

  /**
   * Says whether the log holds at least `frames` frames behind `since`: by default those that wait to be
   * captured. All of them count when it was begun anew since.
   */
  hasFrames(frames: number, since: CapturePosition = this.#position): boolean {
    using wal = WalFile.open(this.#source.walPath);
    const header = wal?.header();
    if (!wal || !header) return false;
    const isSame = typeof since === "object" && isSameWal(header, since.header);
    return hasWalFrames(wal, isSame ? since : walStart(header), frames);
  }

  /** Size of the log's file, in bytes: whatever is committed now lies before it. */
  walFileBytes(): number {
    return statSync(this.#source.walPath, { throwIfNoEntry: false })?.size ?? 0;
  }

  /**
   * Stages the next file. Undefined when nothing was committed since the last.
   *
   * @throws {ReplicaError} `SOURCE_INVALID` when the database is not the one it was, `LOCAL_FILE`
   *   when the staging directory takes no file.
   */
  async capture(): Promise<StagedFile | undefined> {
    using wal = WalFile.open(this.#source.walPath);
    const decision = this.#decide(wal);
    if (decision.kind === "full") return await this.#captureImage(decision.reason);
    const next = wal && this.#nextLtx(wal, decision);
    if (!next) return undefined;
    const { txid, ltx, batch } = next;
    const isUndisturbed = () => isSameLog(batch.end.header, readWalHeader(this.#source.walPath));
    try {
      const staged = await this.#stage(txid, encodeInPieces(ltx, isUndisturbed));
      this.#take(ltx.header, batch.end);
      return { ...staged, imageReason: undefined };
    } catch (error) {
      if (!(error instanceof DisturbedError)) throw error;
      return await this.#captureImage("the log was begun anew while it was read");
    }
  }

  /**
   * Takes what was committed since the last file out of the log and into memory, to be staged by
   * `finish`: for a moment in which nobody can commit, and which is to be short. To be called again until
   * nothing is left; `finish` is to be called before any other capture.
   *
   * @returns `image` when the next file would hold the whole database; undefined when nothing is left.
   */
  hold(): HeldFile | "image" | undefined {
    using wal = WalFile.open(this.#source.walPath);
    const decision = this.#decide(wal);
    if (decision.kind === "full") return "image";
    const next = wal && this.#nextLtx(wal, decision);
    if (!next) return undefined;
    const { txid, ltx, batch } = next;
    const before = this.#txid;
    const held = readAll(encodeInPieces(ltx));
    this.#take(ltx.header, batch.end);
    return {
      sizeBytes: held.summary.sizeBytes,
      finish: async () => {
        try {
          return { ...(await this.#stage(txid, replay(held))), imageReason: undefined };
        } catch (error) {
          // These commits are in no file, and may be in no log any more.
          this.#txid = before;
          this.#position = undefined;
          throw error;
        }
      },
    };
  }

  #decide(wal: WalFile | undefined): CaptureDecision {
    const header = wal?.header();
    if (header) this.#refuseOtherPageSize(header);
    return decideCapture({
      position: this.#position,
      isEndOfLockedLog: this.#isEndOfLockedLog(),
      header,
      hasLastTransaction: () => hasLastTransactionNow(wal, this.#position),
      hasUnreadFrames: () => hasFramesBehind(wal, this.#position),
    });
  }

  #nextLtx(wal: WalFile, decision: CaptureDecision) {
    if (decision.kind !== "incremental") return undefined;
    const batch = readWalBatch(wal, decision.from, BATCH_BYTES_MAX);
    if (!batch) {
      this.#position = decision.from;
      return undefined;
    }
    const txid = nextTxid(this.#txid);
    const ltx = incrementalLtx(batch, this.#commit, this.#sourceOptions(wal, txid));
    return { txid, ltx, batch };
  }

  /**
   * Takes note of a log that was begun anew. To be called before the read lock is moved: afterwards
   * nothing shows any more that the old log had been read to its end.
   */
  noticeNewLog(): void {
    using wal = WalFile.open(this.#source.walPath);
    const decision = this.#decide(wal);
    if (decision.kind === "incremental") this.#position = decision.from;
    if (decision.kind === "full") this.#position = undefined;
  }

  #isEndOfLockedLog(): boolean {
    const position = this.#position;
    return typeof position === "object" && walFrameCount(position) === this.#source.framesAtLock;
  }

  /** Goes on in the log where a staged file ended; without this the next file holds the whole database. */
  resume({ commit, timestampMs, position }: ResumePoint): void {
    this.#commit = commit;
    this.#timestampMs = timestampMs;
    this.#position = position;
  }

  /**
   * The whole database at the newest TXID, for a snapshot, while captures go on. The read lock must
   * neither move nor be given up until the last piece is taken.
   *
   * @returns Undefined when there is no such moment now: nothing is captured, or not yet all that the
   *   read lock sees.
   */
  snapshot():
    | { readonly txid: Txid; readonly pieces: Generator<Uint8Array, LtxSummary> }
    | undefined {
    this.noticeNewLog();
    const [position, txid] = [this.#position, this.#txid];
    if (position === undefined || txid === undefined) return undefined;
    // A log that was begun since holds what came after all that the read lock sees.
    const isCaptured =
      position === "no-log" ||
      this.#source.isLogBegunSinceLock(position.header) ||
      walFrameCount(position) >= this.#source.framesAtLock;
    if (!isCaptured) return undefined;
    const point = { txid, commit: this.#commit, timestampMs: this.#timestampMs };
    return { txid, pieces: snapshotPieces(this.#source, point, position) };
  }

  async #captureImage(reason: string): Promise<StagedFile> {
    const txid = nextTxid(this.#txid);
    for (let attempt = 1; ; attempt++) {
      using wal = WalFile.open(this.#source.walPath);
      const header = wal?.header();
      const batch = wal && header ? readWalBatch(wal, walStart(header)) : undefined;
      const ltx = fullLtx(batch, this.#sourceOptions(wal, txid));
      // A log begun anew while it is read may have lost pages to new ones: then nothing of it counts.
      const isUndisturbed = () => isSameLog(header, readWalHeader(this.#source.walPath));
      try {
        const staged = await this.#stage(txid, encodeInPieces(ltx, isUndisturbed));
        const position = batch?.end ?? (header ? walStart(header) : "no-log");
        this.#take(ltx.header, position);
        return { ...staged, imageReason: reason };
      } catch (error) {
        if (!(error instanceof DisturbedError) || attempt === IMAGE_ATTEMPTS) throw error;
      }
    }
  }

  #sourceOptions(wal: WalFile | undefined, txid: Txid) {
    return { source: this.#source, wal, txid, timestampMs: this.#now() };
  }

  #take({ maxTxid, commit, timestampMs }: LtxHeader, position: WalPosition | "no-log"): void {
    this.#txid = maxTxid;
    this.#commit = commit;
    this.#timestampMs = timestampMs;
    this.#position = position;
  }

  async #stage(txid: Txid, pieces: Iterator<Uint8Array, LtxSummary>) {
    let summary: LtxSummary | undefined;
    const body = async function* () {
      for (;;) {
        const next = pieces.next();
        if (!next.done) {
          yield next.value;
          continue;
        }
        summary = next.value;
        return;
      }
    };
    try {
      await this.#staging.write(txid, body());
    } catch (cause) {
      if (cause instanceof DisturbedError || isReplicaError(cause)) throw cause;
      const { code, message } = cause as NodeJS.ErrnoException;
      const reason = code === "ENOSPC" ? "the disk is full" : message;
      throw new ReplicaError("LOCAL_FILE", `cannot write to ${this.#staging.folder}: ${reason}`, {
        cause,
      });
    }
    const { sizeBytes, pageCount } = summary!;
    return { txid, sizeBytes, pageCount };
  }

  #refuseOtherPageSize({ pageSize }: WalHeader): void {
    if (pageSize === this.#source.pageSize) return;
    throw new ReplicaError(
      "SOURCE_INVALID",
      `${this.#source.path} has pages of ${pageSize} bytes now, ${this.#source.pageSize} before: LTX files of two page sizes cannot be merged, so replicate to a new path`,
    );
  }
}

function hasLastTransactionNow(wal: WalFile | undefined, position: CapturePosition): boolean {
  if (!wal || typeof position !== "object") return false;
  // A log that is begun anew at this very moment took nothing back: the next look will see what it is.
  return hasLastTransaction(wal, position) || !isSameLog(position.header, wal.header());
}

function hasFramesBehind(wal: WalFile | undefined, position: CapturePosition): boolean {
  if (!wal || typeof position !== "object") return false;
  return readWalBatch(wal, position, 1) !== undefined;
}
