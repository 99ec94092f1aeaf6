import { isReplicaError, type ReplicaError } from "../../shared/errors.ts";
import { SNAPSHOT_LEVEL } from "../../shared/limits.ts";
import type { PageCodec } from "../../shared/ltx/page-frame.ts";
import type { Txid } from "../../shared/ltx/txid.ts";
import { listLtxFiles, type LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { makeFolder } from "../storage/durable-file.ts";
import { localFailure } from "../storage/local-failure.ts";
import { planCompaction, type CompactionPlan } from "./plan-compaction.ts";
import { runCompaction } from "./run-compaction.ts";
import type { StoredLtx } from "./store-ltx.ts";

/** How often levels 1, 2 and 3 are written, in milliseconds; Litestream's intervals. */
const LEVEL_INTERVALS_MS: readonly number[] = [30_000, 300_000, 3_600_000];
/** Level 1 is written before its time when so many files of level 0 wait for it. */
const WAITING_FILES_MAX = 64n;

export interface LadderOptions {
  readonly replica: Replica;
  /** Where files are put while a compaction runs. */
  readonly folder: string;
  readonly localPath?: ((file: LtxFileInfo) => string | undefined) | undefined;
  /** From level 1 on. */
  readonly intervalsMs?: readonly number[] | undefined;
  /** How pages are compressed. */
  readonly codec?: PageCodec | undefined;
  readonly now: () => number;
  readonly onCompacted: (file: StoredLtx, sources: number) => void;
  /** A level could not be written; it is tried again when its time comes. */
  readonly onFailed: (level: number, error: ReplicaError) => void;
  readonly onGap: (level: number, gap: CompactionPlan & { readonly kind: "gap" }) => void;
}

interface Rung {
  readonly level: number;
  readonly intervalMs: number;
  /** Multiples of the interval since the epoch, so that it does not depend on when we started. */
  dueMs: number;
  /** Newest TXID at this level; null before it was looked for. */
  newest: Txid | undefined | null;
  /** What the level below held when nothing of it could be merged. */
  refused: Txid | undefined;
  /** The last attempt wrote nothing: the next waits for its time, however many files wait for it. */
  isHeldBack: boolean;
}

/** Writes the levels above 0, each from the one below it. Asks nothing of the store while nothing is new. */
export class Ladder {
  readonly #options: LadderOptions;
  readonly #rungs: readonly Rung[];
  #uploaded: Txid | undefined;

  constructor(options: LadderOptions) {
    this.#options = options;
    const { intervalsMs = LEVEL_INTERVALS_MS, now } = options;
    this.#rungs = intervalsMs.map((intervalMs, index) => ({
      level: index + 1,
      intervalMs,
      dueMs: nextMultiple(now(), intervalMs),
      newest: null,
      refused: undefined,
      isHeldBack: false,
    }));
  }

  /** Says what the newest TXID at level 0 is. */
  uploaded(txid: Txid | undefined): void {
    this.#uploaded = txid;
  }

  /** When the next level is to be written, in milliseconds since the epoch. */
  get dueMs(): number {
    const [first] = this.#rungs;
    if (first && this.#isFull(first)) return 0;
    return Math.min(...this.#rungs.map((rung) => rung.dueMs));
  }

  /** Forgets what it has seen of the store. */
  forget(): void {
    for (const rung of this.#rungs) {
      rung.newest = null;
      rung.refused = undefined;
      rung.isHeldBack = false;
    }
  }

  /** Says that what could not be merged may be merged now: a snapshot covers what is missing. */
  retry(): void {
    for (const rung of this.#rungs) {
      if (rung.refused !== undefined) rung.dueMs = 0;
      rung.refused = undefined;
    }
  }

  /** Writes the levels whose time has come, the lowest first. */
  async runDue(signal?: AbortSignal): Promise<void> {
    for (const rung of this.#rungs) {
      const now = this.#options.now();
      if (now < rung.dueMs && !this.#isFull(rung)) continue;
      rung.dueMs = nextMultiple(now, rung.intervalMs);
      rung.isHeldBack = true;
      try {
        rung.isHeldBack = !(await this.#write(rung, signal));
      } catch (error) {
        if (signal?.aborted) return;
        // A full disk or a folder that was removed is no reason to stop shipping level 0.
        const failure = localFailure(error);
        if (isReplicaError(failure, "WRITER_CONFLICT")) throw failure;
        this.#options.onFailed(rung.level, failure);
      }
    }
  }

  /** Level 1 lacks so many TXIDs of level 0 that it is written before its time. */
  #isFull({ level, newest, isHeldBack }: Rung): boolean {
    if (level > 1 || newest === null || isHeldBack) return false;
    return (this.#uploaded ?? 0n) - (newest ?? 0n) >= WAITING_FILES_MAX;
  }

  /** Says whether all that the level below holds is in this one now. */
  async #write(rung: Rung, signal: AbortSignal | undefined): Promise<boolean> {
    const { replica, folder, localPath, onCompacted, onGap } = this.#options;
    const { level } = rung;
    const below = this.#rungs[level - 2];
    const available = level === 1 ? this.#uploaded : below?.newest;
    // Nothing there, or nothing new: not even a listing.
    if (available === undefined || available === null) return true;
    if (available === rung.refused) return false;
    if (rung.newest === null) rung.newest = newestOf(await this.#list(level, signal));
    // Bounded by what waits: each pass merges some of it.
    for (;;) {
      if (available <= (rung.newest ?? 0n)) return true;
      const plan = await this.#plan(rung, signal);
      if (plan.kind === "gap") onGap(level, plan);
      if (plan.kind !== "merge") {
        rung.refused = available;
        return false;
      }
      const { files } = plan;
      // What waits here may turn out not to be what is there.
      const copyOf = (file: LtxFileInfo) =>
        file.maxTxid <= (this.#uploaded ?? 0n) ? localPath?.(file) : undefined;
      await makeFolder(folder);
      const { codec } = this.#options;
      const options = { replica, level, files, folder, localPath: copyOf, codec, signal };
      const written = await runCompaction(options);
      rung.newest = written.maxTxid;
      onCompacted(written, files.length);
    }
  }

  async #plan({ level, newest }: Rung, signal: AbortSignal | undefined): Promise<CompactionPlan> {
    const newestTxid = newest ?? undefined;
    const seek = newestTxid === undefined ? undefined : ((newestTxid + 1n) as Txid);
    const sources = await this.#list(level - 1, signal, seek);
    const plan = planCompaction({ newestTxid, sources, snapshots: [] });
    if (plan.kind !== "gap") return plan;
    // A file may begin before the seam and reach beyond it; or the whole database may stand elsewhere.
    const [all, atBottom, snapshots] = [
      await this.#list(level - 1, signal),
      await this.#wholeAtBottom(signal),
      await this.#list(SNAPSHOT_LEVEL, signal),
    ];
    const whole = [...atBottom, ...snapshots].map(({ maxTxid }) => maxTxid);
    return planCompaction({ newestTxid, sources: all, snapshots: whole });
  }

  /** The files of level 0 that begin at TXID 1: they are its first. */
  async #wholeAtBottom(signal: AbortSignal | undefined): Promise<LtxFileInfo[]> {
    const whole: LtxFileInfo[] = [];
    for await (const file of listLtxFiles(this.#options.replica, { level: 0, signal })) {
      if (file.minTxid > 1n) break;
      whole.push(file);
    }
    return whole;
  }

  async #list(level: number, signal?: AbortSignal, seek?: Txid): Promise<LtxFileInfo[]> {
    const { replica } = this.#options;
    return await Array.fromAsync(
      listLtxFiles(replica, { level, seek, withTimestamps: true, signal }),
    );
  }
}

function newestOf(files: readonly LtxFileInfo[]): Txid | undefined {
  return files.reduce<Txid | undefined>(
    (newest, { maxTxid }) => (newest === undefined || maxTxid > newest ? maxTxid : newest),
    undefined,
  );
}

function nextMultiple(nowMs: number, intervalMs: number): number {
  return (Math.floor(nowMs / intervalMs) + 1) * intervalMs;
}
