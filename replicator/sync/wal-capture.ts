import { statSync } from "node:fs";
import type { PageCodec } from "../../shared/ltx/page-frame.ts";
import type { LtxHeader } from "../../shared/ltx/header.ts";
import type { LtxSummary } from "../../shared/ltx/decoder.ts";
import { nextTxid, type Txid } from "../../shared/ltx/txid.ts";
import type { SourceDatabase } from "../source/source-database.ts";
import { isSameWal } from "../wal/wal-header.ts";
import {
  hasWalFrames,
  readWalBatch,
  WalFile,
  walBytesOf,
  walFrameCount,
  walStart,
  type WalPosition,
} from "../wal/wal-reader.ts";
import type { CaptureDecision, CapturePosition } from "./decide-capture.ts";
import { differingPages } from "./compare-pages.ts";
import type { ReplicationEvent } from "./events.ts";
import { lookAtLog, refuseUnreadable } from "./look-at-log.ts";
import { fullLtx, incrementalLtx, partialLtx, type LtxSource } from "./ltx-from-wal.ts";
import { DisturbedError, holdPages } from "./ltx-pieces.ts";
import type { PageMemory } from "./page-memory.ts";
import { tellReading } from "./progress.ts";
import type { ResumePoint } from "./reconcile.ts";
import { snapshotPieces } from "./snapshot-pieces.ts";
import { stagedFile, stageLtx } from "./stage-file.ts";
import type { HeldFile, StagedFile, Staging } from "./staging.ts";
import { isUndisturbedSince } from "./undisturbed.ts";

/** What one LTX file takes from the log at most before it ends at a commit, as Litestream's. In bytes. */
const BATCH_BYTES_MAX = 64 * 1024 * 1024;
/** The log can be begun anew once while a full image is read, never twice: see `holdReadLock`. */
const IMAGE_ATTEMPTS = 3;

export interface WalCaptureOptions {
  readonly source: SourceDatabase;
  readonly staging: Staging;
  readonly now: () => number;
  /** The newest TXID that is taken, here or in the store. */
  readonly txid: Txid | undefined;
  /** What is known of the pages at that TXID, if anything. */
  readonly memory: PageMemory;
  readonly codec?: PageCodec | undefined;
  /** Told of every image that was compared. */
  readonly onEvent?: ((event: ReplicationEvent) => void) | undefined;
}

interface StageOptions {
  readonly position?: WalPosition | "no-log";
  readonly imageReason?: string;
  readonly isUndisturbed?: () => boolean;
}

/** Turns what the application commits into staged LTX files, one TXID each, without a gap. */
export class WalCapture {
  readonly #source: SourceDatabase;
  readonly #staging: Staging;
  readonly #now: () => number;
  readonly #memory: PageMemory;
  readonly #codec: PageCodec | undefined;
  readonly #onEvent: (event: ReplicationEvent) => void;
  #txid: Txid | undefined;
  #commit = 0;
  #timestampMs = 0;
  #position: CapturePosition;
  #isCutShort = false;

  constructor(options: WalCaptureOptions) {
    this.#source = options.source;
    this.#staging = options.staging;
    this.#now = options.now;
    this.#txid = options.txid;
    this.#memory = options.memory;
    this.#codec = options.codec;
    this.#onEvent = options.onEvent ?? (() => undefined);
  }

  /** The newest TXID that is staged. */
  get txid(): Txid | undefined {
    return this.#txid;
  }

  /** Bytes of the log that have been read: what a checkpoint would set free. */
  get walBytes(): number {
    return typeof this.#position === "object" ? this.#position.offset : 0;
  }

  /** The last file ended because it was full: more was committed when it was read. */
  get isCutShort(): boolean {
    return this.#isCutShort;
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
    // Asked at every look: mostly the file's size says that there are not.
    if (this.walFileBytes() < walBytesOf(frames, this.#source)) return false;
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
   * Stages the next file. Undefined when nothing was committed since the last, or whatever was committed
   * left every page as it was shipped.
   *
   * @throws {ReplicaError} `SOURCE_INVALID` when the database is not the one it was, `LOCAL_FILE`
   *   when the staging directory takes no file.
   */
  async capture(): Promise<StagedFile | undefined> {
    using wal = WalFile.open(this.#source.walPath);
    const decision = lookAtLog(this.#source, wal, this.#position);
    if (decision.kind === "full") return await this.#captureImage(decision.reason);
    const next = wal && this.#nextLtx(wal, decision);
    if (!next) return undefined;
    const { ltx, batch } = next;
    const isUndisturbed = () => isUndisturbedSince(batch.end.header, this.#source);
    try {
      return await this.#stage(ltx, { isUndisturbed, position: batch.end });
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
    const decision = lookAtLog(this.#source, wal, this.#position);
    if (decision.kind === "full") return "image";
    const next = wal && this.#nextLtx(wal, decision);
    if (!next) return undefined;
    const { ltx, batch } = next;
    const before = this.#txid;
    // Encoded when the lock is free again: that takes several times as long.
    const held = holdPages(ltx);
    if (!this.#source.isStillInPlace()) return "image";
    this.#take(ltx.header, batch.end);
    return {
      pageBytes: ltx.pageCount * this.#source.pageSize,
      finish: async () => {
        try {
          return await this.#stage(held, {});
        } catch (error) {
          // These commits are in no file, and may be in no log any more.
          this.#txid = before;
          this.#position = undefined;
          throw error;
        }
      },
    };
  }

  #nextLtx(wal: WalFile, decision: CaptureDecision) {
    if (decision.kind !== "incremental") return undefined;
    const batch = readWalBatch(wal, decision.from, BATCH_BYTES_MAX);
    this.#isCutShort = !!batch && batch.end.offset - batch.start.offset >= BATCH_BYTES_MAX;
    if (!batch) {
      refuseUnreadable(this.#source, wal, decision.from);
      this.#position = decision.from;
      return undefined;
    }
    const txid = nextTxid(this.#txid);
    const ltx = incrementalLtx(batch, this.#commit, this.#sourceOptions(wal, txid));
    return { ltx, batch };
  }

  /**
   * Takes note of a log that was begun anew. To be called before the read lock is moved: afterwards
   * nothing shows any more that the old log had been read to its end.
   */
  noticeNewLog(): void {
    using wal = WalFile.open(this.#source.walPath);
    const decision = lookAtLog(this.#source, wal, this.#position);
    if (decision.kind === "incremental") this.#position = decision.from;
    if (decision.kind === "full") this.#position = undefined;
  }

  /** Goes on in the log where a staged file ended; without this the next file holds the whole database. */
  resume({ commit, timestampMs, position }: ResumePoint): void {
    this.#commit = commit;
    this.#timestampMs = timestampMs;
    this.#position = position;
  }

  /** Goes on after `txid`, with the whole database: what was captured is not the history that goes on. */
  reset(txid: Txid | undefined): void {
    this.#txid = txid;
    this.#position = undefined;
    // The same TXID may be of another history.
    this.#memory.keepOnly(undefined);
  }

  /**
   * The whole database at the newest TXID, for a snapshot, while captures go on. The read lock must
   * neither move nor be given up until the last piece is taken.
   *
   * @returns Undefined while nothing is captured, or not yet all that the read lock sees.
   */
  snapshot(): { txid: Txid; pieces: Generator<Uint8Array, LtxSummary> } | undefined {
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
    const telling = { codec: this.#codec, onProgress: this.#onEvent };
    return { txid, pieces: snapshotPieces(this.#source, { point, position, ...telling }) };
  }

  /**
   * Reads the whole database. Where it is known how every page was shipped, only those that differ are
   * shipped, as an ordinary file of the next TXID; where none does, no TXID is taken.
   */
  async #captureImage(reason: string): Promise<StagedFile | undefined> {
    const txid = nextTxid(this.#txid);
    for (let attempt = 1; ; attempt++) {
      this.#source.expectInPlace();
      using wal = WalFile.open(this.#source.walPath);
      const header = wal?.header();
      const batch = wal && header ? readWalBatch(wal, walStart(header)) : undefined;
      const options = this.#sourceOptions(wal, txid);
      const full = tellReading(fullLtx(batch, options), "image", this.#onEvent);
      const position = batch?.end ?? (header ? walStart(header) : "no-log");
      // A log begun anew while it is read may have lost pages to new ones: then nothing of it counts.
      const isUndisturbed = () => isUndisturbedSince(header, this.#source);
      const remembered = this.#memory.at(this.#txid);
      try {
        if (!remembered) {
          return await this.#stage(full, { isUndisturbed, position, imageReason: reason });
        }
        const { point } = remembered;
        const pgnos = await differingPages(full, remembered);
        let staged: StagedFile | undefined;
        if (pgnos.size > 0 || full.header.commit !== point.commit) {
          const ltx = partialLtx(full, pgnos, batch, options);
          staged = await this.#stage(ltx, { isUndisturbed, position });
        } else {
          if (!isUndisturbed()) throw new DisturbedError();
          this.#take({ ...point, maxTxid: point.txid }, position);
        }
        const pages = full.pageCount;
        this.#onEvent({ event: "compared", reason, pages, differing: pgnos.size });
        return staged;
      } catch (error) {
        if (!(error instanceof DisturbedError) || attempt === IMAGE_ATTEMPTS) throw error;
      }
    }
  }

  /** Stages a file, and with it takes its TXID and what lies in the log before `position`, unless that is done. */
  async #stage(ltx: LtxSource, { position, imageReason, isUndisturbed }: StageOptions) {
    const noted = this.#memory.note(ltx);
    const summary = await stageLtx(this.#staging, noted, { isUndisturbed, codec: this.#codec });
    if (position !== undefined) this.#take(ltx.header, position);
    await this.#memory.take(summary, noted);
    return stagedFile(summary, imageReason);
  }

  #sourceOptions(wal: WalFile | undefined, txid: Txid) {
    return { source: this.#source, wal, txid, timestampMs: this.#now() };
  }

  #take(
    { maxTxid, commit, timestampMs }: Pick<LtxHeader, "maxTxid" | "commit" | "timestampMs">,
    position: WalPosition | "no-log",
  ): void {
    this.#txid = maxTxid;
    this.#commit = commit;
    this.#timestampMs = timestampMs;
    this.#position = position;
  }
}
