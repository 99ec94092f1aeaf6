import type { CheckpointResult } from "../source/passive-checkpointer.ts";
import type { SourceDatabase } from "../source/source-database.ts";
import type { HeldFile } from "./staging.ts";
import type { WalCapture } from "./wal-capture.ts";
import type { CapturePosition } from "./decide-capture.ts";

/** From so many pages of log on, it is checkpointed; Litestream's threshold. */
const CHECKPOINT_PAGES_MIN = 1_000;
/** With so much left or less, the write lock is taken for the rest: a few dozen milliseconds. In bytes. */
const REST_BYTES_MAX = 4 * 1024 * 1024;
/** Copying goes on without a lock so often before the writer counts as too fast for it. */
const PASSES_MAX = 4;
/** From here on a writer that is too fast has to wait, however much is left. In bytes of log. */
const WAL_BYTES_MAX = 64 * 1024 * 1024;
/** What is held in memory under the write lock, at most. In bytes. */
const HELD_BYTES_MAX = 32 * 1024 * 1024;

export interface CheckpointParts {
  readonly source: SourceDatabase;
  readonly capture: WalCapture;
  /** Stages all that is committed when it is called. */
  readonly captureWhatIsThere: () => Promise<void>;
  readonly stageHeld: (file: HeldFile) => Promise<void>;
  /** Told of each, with the milliseconds for which nobody could commit. */
  readonly onCheckpoint: (done: CheckpointResult & { readonly ms: number }) => void;
}

/**
 * Keeps the log short. Most of it is copied into the database file while the application goes on
 * writing; only for the little that is left then is the write lock held, so that all of the log is in the
 * database file for a moment and the next commit begins it anew.
 *
 * Whatever is captured on the way makes as few files as possible: usually one.
 */
export class Checkpoints {
  readonly #parts: CheckpointParts;
  /** Where the log ended at the last attempt. */
  #triedAt: CapturePosition;
  #running: Promise<void> = Promise.resolve();
  #suspensions = 0;

  constructor(parts: CheckpointParts) {
    this.#parts = parts;
  }

  isDue(): boolean {
    // Before the first attempt all of the log counts, and not only what waits to be captured.
    const since = this.#triedAt ?? "no-log";
    return this.#suspensions === 0 && this.#parts.capture.hasFrames(CHECKPOINT_PAGES_MIN, since);
  }

  /**
   * Checkpoints, and stages all that is committed when it is called. All that was committed when the read
   * lock was taken or moved last must be captured; this is so again afterwards.
   */
  run(): Promise<void> {
    this.#running = this.#run();
    return this.#running;
  }

  /** Waits for a checkpoint that is under way, and lets none begin until the result is disposed of: the read lock stays where it is. */
  async suspend(): Promise<Disposable> {
    this.#suspensions++;
    // Its error is for whoever runs it.
    await this.#running.catch(() => undefined);
    return { [Symbol.dispose]: () => void this.#suspensions-- };
  }

  async #run(): Promise<void> {
    const { capture, captureWhatIsThere } = this.#parts;
    const isRestShort = await this.#copyUnlocked();
    const isDone = (isRestShort || capture.walBytes > WAL_BYTES_MAX) && (await this.#copyRest());
    if (!isDone) await captureWhatIsThere();
    this.#triedAt = capture.position;
  }

  /**
   * Copies while the application writes, until what is left is short or the log is long. Says whether
   * what is left is short.
   */
  async #copyUnlocked(): Promise<boolean> {
    const { source, capture, captureWhatIsThere } = this.#parts;
    const restFrames = Math.ceil(REST_BYTES_MAX / source.pageSize);
    let isLong = false;
    for (let pass = 0; isLong || pass < PASSES_MAX; pass++) {
      capture.noticeNewLog();
      source.advanceReadLock();
      await source.checkpointPassive();
      if (!capture.hasFrames(restFrames)) {
        await source.syncToDisk();
        return true;
      }
      // Right behind a copy, with nothing captured in between, the least is left.
      if (isLong) return false;
      await captureWhatIsThere();
      isLong = capture.walBytes > WAL_BYTES_MAX;
    }
    return false;
  }

  /** Copies the rest under the write lock. False when that was not to be had, or nothing is captured. */
  async #copyRest(): Promise<boolean> {
    const { source, onCheckpoint, stageHeld } = this.#parts;
    const held: HeldFile[] = [];
    let isCaptured = false;
    try {
      await source.withWriteLock(async () => {
        const startedMs = performance.now();
        isCaptured = await this.#holdRest(held);
        if (!isCaptured) return;
        source.releaseReadLock();
        try {
          const result = await source.checkpointPassive();
          if (!result) return;
          onCheckpoint({ ...result, ms: performance.now() - startedMs });
        } finally {
          source.holdReadLock();
        }
      });
    } finally {
      // Also when the checkpoint failed: what is held counts as captured, and the next file goes on behind it.
      for (const file of held) await stageHeld(file);
    }
    return isCaptured;
  }

  /** Takes what is left out of the log. False when the next file would hold the whole database: not under this lock. */
  async #holdRest(held: HeldFile[]): Promise<boolean> {
    const { capture, stageHeld } = this.#parts;
    let heldBytes = 0;
    for (;;) {
      const next = capture.hold();
      if (next === "image") return false;
      if (!next) return true;
      held.push(next);
      heldBytes += next.pageBytes;
      if (heldBytes < HELD_BYTES_MAX) continue;
      for (const file of held.splice(0)) await stageHeld(file);
      heldBytes = 0;
    }
  }
}
