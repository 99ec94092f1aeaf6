import { once } from "node:events";
import type { Worker } from "node:worker_threads";
import { ReplicaError } from "../../shared/errors.ts";
import { startThread } from "../start-thread.ts";

export interface CheckpointResult {
  /** Frames in the log. */
  readonly logFrames: number;
  /** Those of them that are in the database file; fewer when a reader still needs older pages. */
  readonly checkpointedFrames: number;
}

/** A checkpoint that is under way ends first, within so long or not at all, in milliseconds. */
const CLOSE_MS = 5_000;

type Reply = { readonly log: number; readonly checkpointed: number } | { readonly error: string };

/** Copies the log into the database file, in a thread that is started when it is needed first. */
export class PassiveCheckpointer {
  readonly #path: string;
  #thread: Worker | undefined;
  /** Becomes 1 when the thread has closed its connection. */
  readonly #closed = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Copies what readers allow, waiting for nobody. Undefined when another process checkpoints at this
   * moment: as good as our own.
   *
   * @throws {ReplicaError} `LOCAL_FILE` when the disk is full, `SOURCE_INVALID` when the database file takes no
   *   page for another reason.
   */
  async run(): Promise<CheckpointResult | undefined> {
    const reply = await this.#ask();
    if (!("error" in reply)) {
      const { log, checkpointed } = reply;
      // -1 and -1 are SQLite's answer when it could not begin.
      return log < 0 ? undefined : { logFrames: log, checkpointedFrames: checkpointed };
    }
    if (/locked|busy/i.test(reply.error)) return undefined;
    const sentence = `the log of ${this.#path} could not be copied into the database`;
    if (/disk is full/i.test(reply.error)) {
      // As the file system says it: it may pass.
      const cause = Object.assign(new Error(reply.error), { code: "ENOSPC" });
      throw new ReplicaError("LOCAL_FILE", `${sentence}: the disk is full`, { cause });
    }
    throw new ReplicaError("SOURCE_INVALID", `${sentence}: ${reply.error}`);
  }

  /**
   * Waits, without a turn of the event loop, until the thread has let go of the database. Whoever closes a
   * descriptor of it drops the thread's locks too, which SQLite goes on counting as held: the next connection of
   * this process would rely on them, and the application could remove a log that is still read.
   */
  close(): void {
    if (!this.#thread) return;
    this.#thread.postMessage("close");
    this.#thread = undefined;
    Atomics.wait(this.#closed, 0, 0, CLOSE_MS);
  }

  async #ask(): Promise<Reply> {
    const data = { path: this.#path, closed: this.#closed };
    const options = { data, oldMbMax: 32 };
    this.#thread ??= startThread("./checkpoint-thread", import.meta.url, options);
    this.#thread.postMessage("checkpoint");
    try {
      // An error of the thread itself rejects.
      const [reply] = (await once(this.#thread, "message")) as [Reply];
      return reply;
    } catch (error) {
      // It has ended by that, and answers no more.
      this.#thread = undefined;
      throw error;
    }
  }
}
