import type { Worker } from "node:worker_threads";
import { assert } from "../../shared/assert.ts";
import { ReplicaError } from "../../shared/errors.ts";
import type { LtxPage, LtxSummary } from "../../shared/ltx/decoder.ts";
import { startThread } from "../start-thread.ts";
import type { EncodingReply, EncodingStart, PageBatch } from "./encoding-thread.ts";
import type { LtxSource } from "./ltx-from-wal.ts";
import { DisturbedError, type EncodeOptions } from "./ltx-pieces.ts";

/** Pages go to the thread in batches of so many bytes, or of one page where that is more. */
const BATCH_BYTES = 512 * 1024;
/** So many batches are under way: the thread has its next one while the answer to the last is written. */
const BATCHES_MAX = 4;

type Pieces = Exclude<EncodingReply, { error: unknown }>;
type Bytes = Uint8Array<ArrayBuffer>;

/**
 * The same bytes as `encodeInPieces`, compressed in a thread while pages are read here and pieces are written. A
 * piece holds until the next is asked for; whoever leaves early ends the thread by `return`.
 *
 * @throws {DisturbedError} When the answer to `isUndisturbed` was no.
 * @throws {ReplicaError} `CORRUPT_PAGE` as the encoder does, and whatever `pages` throws.
 */
export async function* encodeBeside(
  { header, pages }: LtxSource,
  { isUndisturbed = () => true, codec }: EncodeOptions = {},
): AsyncGenerator<Uint8Array, LtxSummary, undefined> {
  const thread = new EncodingThread({ header, codec });
  const batches = new Batches(pages, header.pageSize);
  try {
    const underWay: Promise<Pieces>[] = [];
    let written: Bytes[] = [];
    // Bounded by the pages: every pass but the last has a batch answered.
    for (;;) {
      for (let next: Batch | undefined; underWay.length < BATCHES_MAX && (next = batches.next());) {
        underWay.push(thread.encode({ ...next, spare: written }));
        written = [];
      }
      const answered = await underWay.shift();
      if (!answered) break;
      if (answered.pages) batches.takeBack(answered.pages);
      for (const piece of answered.pieces) {
        yield piece;
        written.push(piece);
      }
    }
    const { pieces, summary } = await thread.finish();
    if (!isUndisturbed()) throw new DisturbedError();
    yield* pieces;
    assert(summary, "the summary comes with the last pieces");
    return summary;
  } finally {
    await thread.end();
  }
}

type Batch = Pick<PageBatch, "pgnos" | "pages">;

/** Puts pages together for the thread. */
class Batches {
  readonly #pages: Iterator<LtxPage>;
  readonly #pageSize: number;
  readonly #count: number;
  readonly #spare: Bytes[] = [];

  constructor(pages: Iterable<LtxPage>, pageSize: number) {
    this.#pages = pages[Symbol.iterator]();
    this.#pageSize = pageSize;
    this.#count = Math.max(1, BATCH_BYTES / pageSize);
  }

  /** The next pages; undefined when there are none any more. */
  next(): Batch | undefined {
    const pages = this.#spare.pop() ?? new Uint8Array(this.#count * this.#pageSize);
    const pgnos = new Uint32Array(this.#count);
    let count = 0;
    while (count < this.#count) {
      const { done, value } = this.#pages.next();
      if (done) break;
      assert(value.data.length === this.#pageSize, "a page has the size of its file's pages");
      pgnos[count] = value.pgno;
      pages.set(value.data, count * this.#pageSize);
      count++;
    }
    return count === 0 ? undefined : { pgnos: pgnos.subarray(0, count), pages };
  }

  takeBack(pages: Bytes): void {
    this.#spare.push(pages);
  }
}

/** Asks the thread, which answers in the order in which it was asked. */
class EncodingThread {
  readonly #thread: Worker;
  readonly #waiting: PromiseWithResolvers<Pieces>[] = [];
  #failure: unknown;

  constructor(start: EncodingStart) {
    const options = { data: start, oldMbMax: 64 };
    this.#thread = startThread("./encoding-thread", import.meta.url, options);
    this.#thread.on("message", (reply: EncodingReply) => {
      const asked = this.#waiting.shift();
      if (!("error" in reply)) asked?.resolve(reply);
      else asked?.reject(new ReplicaError(reply.error.code, reply.error.message));
    });
    // An error of the thread itself, which has ended by that.
    this.#thread.on("error", (error) => this.#fail(error));
    this.#thread.on("exit", () => this.#fail(new Error("the thread that encodes has ended")));
  }

  encode(batch: PageBatch): Promise<Pieces> {
    const owned = [batch.pages, ...batch.spare].map(({ buffer }) => buffer);
    return this.#ask(batch, owned);
  }

  finish(): Promise<Pieces> {
    return this.#ask("finish", []);
  }

  async end(): Promise<void> {
    await this.#thread.terminate();
  }

  #ask(message: PageBatch | "finish", owned: readonly ArrayBuffer[]): Promise<Pieces> {
    const asked = Promise.withResolvers<Pieces>();
    // It may fail while an earlier answer is still waited for.
    asked.promise.catch(() => undefined);
    if (this.#failure === undefined) this.#waiting.push(asked);
    else asked.reject(this.#failure);
    this.#thread.postMessage(message, [...owned]);
    return asked.promise;
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }
}
