import { statSync } from "node:fs";
import { ReplicaError, isReplicaError } from "../../shared/errors.ts";
import { encodeLtx } from "../../shared/ltx/encoder.ts";
import { nextTxid, type Txid } from "../../shared/ltx/txid.ts";
import type { SourceDatabase } from "../source/source-database.ts";
import { isSameWal, type WalHeader } from "../wal/wal-header.ts";
import {
  hasWalFrames,
  readWalBatch,
  WalFile,
  walStart,
  type WalPosition,
} from "../wal/wal-reader.ts";
import { decideCapture, type CapturePosition } from "./decide-capture.ts";
import { fullLtx, incrementalLtx, type LtxSource } from "./ltx-from-wal.ts";
import type { ResumePoint } from "./reconcile.ts";
import type { Staging } from "./staging.ts";

/** What one LTX file takes from the log at most before it ends at a commit, as Litestream's. In bytes. */
const BATCH_BYTES_MAX = 64 * 1024 * 1024;
/** LTX bytes are handed on in pieces of about so many: one page at a time would cost a turn of the event loop each. */
const PIECE_BYTES = 256 * 1024;
/** The log can be begun anew once while a full image is read, never twice: see `holdReadLock`. */
const IMAGE_ATTEMPTS = 3;

/** An LTX file that is safely in the staging directory. */
export interface StagedFile {
  readonly txid: Txid;
  readonly sizeBytes: number;
  readonly pageCount: number;
  /** Why the file holds the whole database; undefined when it holds what changed. */
  readonly imageReason: string | undefined;
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

  /** Says whether at least `frames` frames of the log wait to be read. */
  hasWaitingFrames(frames: number): boolean {
    using wal = WalFile.open(this.#source.walPath);
    const header = wal?.header();
    if (!wal || !header) return false;
    const position = this.#position;
    const isSame = typeof position === "object" && isSameWal(header, position.header);
    return hasWalFrames(wal, isSame ? position : walStart(header), frames);
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
    const header = wal?.header();
    if (header) this.#refuseOtherPageSize(header);
    const decision = decideCapture({
      position: this.#position,
      header,
      hasUnreadFrames: () => hasFramesBehind(wal, this.#position),
    });
    if (decision.kind === "full") return await this.#captureImage(decision.reason);
    if (decision.kind === "nothing" || !wal) return undefined;
    const batch = readWalBatch(wal, decision.from, BATCH_BYTES_MAX);
    if (!batch) {
      this.#position = decision.from;
      return undefined;
    }
    const txid = nextTxid(this.#txid);
    const ltx = incrementalLtx(batch, this.#commit, this.#sourceOptions(wal, txid));
    const staged = await this.#stage(txid, ltx, () => true);
    this.#take(txid, batch.commit, batch.end);
    return { ...staged, imageReason: undefined };
  }

  /** Goes on in the log where a staged file ended; without this the next file holds the whole database. */
  resume({ commit, position }: ResumePoint): void {
    this.#commit = commit;
    this.#position = position;
  }

  async #captureImage(reason: string): Promise<StagedFile> {
    const txid = nextTxid(this.#txid);
    for (let attempt = 1; ; attempt++) {
      using wal = WalFile.open(this.#source.walPath);
      const header = wal?.header();
      const batch = wal && header ? readWalBatch(wal, walStart(header)) : undefined;
      const ltx = fullLtx(batch, this.#sourceOptions(wal, txid));
      // A log begun anew while it is read may have lost pages to new ones: then nothing of it counts.
      const isUndisturbed = () => isSameHeader(header, this.#currentHeader());
      try {
        const staged = await this.#stage(txid, ltx, isUndisturbed);
        const position = batch?.end ?? (header ? walStart(header) : "no-log");
        this.#take(txid, ltx.header.commit, position);
        return { ...staged, imageReason: reason };
      } catch (error) {
        if (!(error instanceof DisturbedError) || attempt === IMAGE_ATTEMPTS) throw error;
      }
    }
  }

  #sourceOptions(wal: WalFile | undefined, txid: Txid) {
    return { source: this.#source, wal, txid, timestampMs: this.#now() };
  }

  #currentHeader(): WalHeader | undefined {
    using wal = WalFile.open(this.#source.walPath);
    return wal?.header();
  }

  #take(txid: Txid, commit: number, position: WalPosition | "no-log"): void {
    this.#txid = txid;
    this.#commit = commit;
    this.#position = position;
  }

  async #stage(txid: Txid, { header, pages }: LtxSource, isUndisturbed: () => boolean) {
    let sizeBytes = 0;
    let pageCount = 0;
    const chunks = encodeLtx(header, pages);
    const body = async function* () {
      let piece: Uint8Array[] = [];
      let pieceBytes = 0;
      for (;;) {
        const next = chunks.next();
        if (next.done) {
          ({ pageCount, sizeBytes } = next.value);
          break;
        }
        piece.push(next.value);
        pieceBytes += next.value.length;
        if (pieceBytes < PIECE_BYTES) continue;
        yield Buffer.concat(piece, pieceBytes);
        piece = [];
        pieceBytes = 0;
      }
      // Thrown before the file gets its name, so that it never counts.
      if (!isUndisturbed()) throw new DisturbedError();
      yield Buffer.concat(piece, pieceBytes);
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

/** The log was begun anew while a full image was being read. */
class DisturbedError extends Error {
  override readonly name = "DisturbedError";
}

function isSameHeader(a: WalHeader | undefined, b: WalHeader | undefined): boolean {
  return a && b ? isSameWal(a, b) : a === b;
}

function hasFramesBehind(wal: WalFile | undefined, position: CapturePosition): boolean {
  if (!wal || typeof position !== "object") return false;
  return readWalBatch(wal, position, 1) !== undefined;
}
