import { open } from "node:fs/promises";
import { assert } from "../../shared/assert.ts";
import { ReplicaError, throwIfAborted } from "../../shared/errors.ts";
import type { Txid } from "../../shared/ltx/txid.ts";
import { writeFile } from "../storage/durable-file.ts";

const PIECE_BYTES = 1024 * 1024;

/** A file that is being written, for whoever reads it meanwhile. */
export class GrowingFile {
  /** It takes no more bytes than these. */
  readonly sizeBytesMax: number;
  #path: string | undefined;
  #bytes = 0;
  #isWhole = false;
  readonly #failed = new AbortController();
  #changed = Promise.withResolvers<void>();

  constructor(sizeBytesMax: number) {
    this.sizeBytesMax = sizeBytesMax;
  }

  get writtenBytes(): number {
    return this.#bytes;
  }

  /** It is on disk, under its name. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Fires when it will never be whole. */
  get failed(): AbortSignal {
    return this.#failed.signal;
  }

  opened(path: string): void {
    this.#path = path;
  }

  grow(bytes: number): void {
    this.#bytes += bytes;
    this.#wake();
  }

  finish(): void {
    this.#isWhole = true;
    this.#wake();
  }

  fail(): void {
    const sentence = "the file could not be written to the staging directory";
    this.#failed.abort(new ReplicaError("ABORTED", sentence));
  }

  /** Its first bytes, when so many are written. */
  async head(length: number): Promise<Uint8Array> {
    for await (const piece of this.read(this.failed)) return piece.slice(0, length);
    return new Uint8Array(0);
  }

  /**
   * Its bytes from the first on, each as soon as it is written. Ends when it is whole. A piece holds until the next
   * is asked for.
   *
   * @param signal Fires also when the file has failed.
   * @throws {ReplicaError} `ABORTED` when `signal` fires.
   */
  async *read(signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    assert(this.#path, "a file is read when there is one");
    const file = await open(this.#path, "r");
    const wake = () => this.#wake();
    signal.addEventListener("abort", wake, { once: true });
    try {
      const buffer = new Uint8Array(PIECE_BYTES);
      let offset = 0;
      // Bounded by the file: every pass reads, waits for more, or ends.
      for (;;) {
        throwIfAborted(signal);
        const length = Math.min(PIECE_BYTES, this.#bytes - offset);
        if (length > 0) {
          const { bytesRead } = await file.read(buffer, 0, length, offset);
          if (bytesRead === 0) throw new Error(`${this.#path} was cut short`);
          offset += bytesRead;
          yield buffer.subarray(0, bytesRead);
        } else if (this.#isWhole) {
          return;
        } else {
          await this.#changed.promise;
        }
      }
    } finally {
      signal.removeEventListener("abort", wake);
      await file.close();
    }
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** Who is told of files while they are being written. */
export interface FileFollower {
  /** Of smaller ones it need not be told. */
  readonly bytesMin: number;
  /** Called each time that more of a file was written. */
  grown(txid: Txid, file: GrowingFile): void;
}

export interface WriteGrowingOptions {
  readonly sizeBytesMax: number;
  readonly onGrown: (file: GrowingFile) => void;
}

/** Writes a file durably, as `writeFile` does; `onGrown` is told of it each time that more of it was written. */
export async function writeGrowing(
  path: string,
  body: AsyncIterable<Uint8Array>,
  { sizeBytesMax, onGrown }: WriteGrowingOptions,
): Promise<void> {
  const file = new GrowingFile(sizeBytesMax);
  const counted = async function* () {
    for await (const chunk of body) {
      const { length } = chunk;
      yield chunk;
      file.grow(length);
      onGrown(file);
    }
  };
  try {
    const onOpened = (temporaryPath: string) => file.opened(temporaryPath);
    await writeFile(path, counted(), { onOpened });
    file.finish();
  } catch (error) {
    file.fail();
    throw error;
  }
}
