import { isFolderGone } from "../storage/local-failure.ts";
import type { Continuity } from "./continuity.ts";
import { stagedEvent, type ReplicationEvent } from "./events.ts";
import type { StagedFile } from "./staging.ts";
import type { Uploader } from "./uploader.ts";
import type { WalCapture } from "./wal-capture.ts";

/** The staging directory may be removed so often while one file is written to it. */
const ATTEMPTS_MAX = 3;

export interface StagerParts {
  readonly capture: WalCapture;
  readonly continuity: Continuity;
  readonly uploader: Uploader;
  readonly onEvent: (event: ReplicationEvent) => void;
}

/** Stages what is committed, one file after the other, and hands each over to be uploaded. */
export class Stager {
  readonly #parts: StagerParts;
  readonly #signal: AbortSignal;

  /** @param signal Ends a look at the store's position that is under way. */
  constructor(parts: StagerParts, signal: AbortSignal) {
    this.#parts = parts;
    this.#signal = signal;
  }

  /** Stages everything that is committed when it is called, and no more than a little of what follows. */
  async whatIsThere(): Promise<void> {
    const { capture } = this.#parts;
    const endBytes = capture.walFileBytes();
    do {
      if (!(await this.next())) return;
    } while (capture.isCutShort && capture.walBytes < endBytes);
  }

  /** Stages the next file, and says whether there was one: up to 64 MiB of the log. */
  async next(): Promise<boolean> {
    const { capture, continuity } = this.#parts;
    return await this.undeterred(async () => {
      await continuity.assure(this.#signal);
      const staged = await capture.capture();
      if (staged) this.handOver(staged);
      return staged !== undefined;
    });
  }

  handOver(staged: StagedFile): void {
    const { uploader, onEvent } = this.#parts;
    onEvent(stagedEvent(staged));
    uploader.add(staged.txid);
  }

  /**
   * Does `work` once more when the staging directory went while it wrote there. Nothing of that counts as
   * captured then, and the next capture sees to the directory first.
   */
  async undeterred<Result>(work: () => Promise<Result>): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (attempt === ATTEMPTS_MAX || !isFolderGone(error)) throw error;
      }
    }
  }
}
