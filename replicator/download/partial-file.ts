import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { ReplicaError } from "../../shared/errors.ts";
import { withoutQuery, type LinkedFile } from "./link-source.ts";

interface State {
  readonly url: string;
  readonly etag: string;
  readonly size_bytes: number;
  readonly range_bytes: number;
  readonly done_bytes: readonly number[];
}

/**
 * A download on its way: `<output>.part` holds the bytes, each at its place, and `<output>.part.json`
 * says which of them are there, so that a later run goes on. What it says is on disk already.
 */
export class PartialFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly rangeBytes: number;
  /** Bytes that are there of each range, from its start. */
  readonly doneBytes: number[];
  readonly #fd: number;
  readonly #file: LinkedFile;
  readonly #statePath: string;

  private constructor(output: string, fd: number, file: LinkedFile, rangeBytes: number) {
    this.path = `${output}.part`;
    this.#statePath = `${this.path}.json`;
    this.#fd = fd;
    this.#file = file;
    this.sizeBytes = file.sizeBytes;
    this.rangeBytes = rangeBytes;
    this.doneBytes = Array.from({ length: Math.ceil(file.sizeBytes / rangeBytes) }, () => 0);
  }

  /** Takes up what an earlier run left of the same file, or begins anew. */
  static open(output: string, file: LinkedFile, rangeBytes: number): PartialFile {
    return attempt(output, () => {
      const fd = openSync(`${output}.part`, "a");
      closeSync(fd);
      const partial = new PartialFile(output, openSync(`${output}.part`, "r+"), file, rangeBytes);
      partial.#resume();
      return partial;
    });
  }

  /** Where a range lies in the file. */
  rangeAt(index: number): { readonly offset: number; readonly length: number } {
    const offset = index * this.rangeBytes;
    return { offset, length: Math.min(this.rangeBytes, this.sizeBytes - offset) };
  }

  /** Adds bytes to what is there of a range. */
  append(index: number, bytes: Uint8Array): void {
    attempt(this.path, () => {
      const start = index * this.rangeBytes + (this.doneBytes[index] ?? 0);
      for (let done = 0; done < bytes.length;) {
        done += writeSync(this.#fd, bytes, done, bytes.length - done, start + done);
      }
    });
    this.doneBytes[index] = (this.doneBytes[index] ?? 0) + bytes.length;
  }

  /** Makes what has arrived so far last beyond this run. */
  save(): void {
    const state: State = {
      url: withoutQuery(this.#file.url),
      etag: this.#file.etag,
      size_bytes: this.sizeBytes,
      range_bytes: this.rangeBytes,
      done_bytes: [...this.doneBytes],
    };
    attempt(this.path, () => {
      fdatasyncSync(this.#fd);
      const temporary = `${this.#statePath}.tmp`;
      const fd = openSync(temporary, "w", 0o644);
      writeSync(fd, JSON.stringify(state));
      fsyncSync(fd);
      closeSync(fd);
      renameSync(temporary, this.#statePath);
    });
  }

  /** Gives the complete file its name, durably. */
  publish(output: string): void {
    attempt(output, () => {
      fsyncSync(this.#fd);
      renameSync(this.path, output);
      rmSync(this.#statePath, { force: true });
      const folder = openSync(dirname(output), "r");
      fsyncSync(folder);
      closeSync(folder);
    });
  }

  /** Removes what there is of it. */
  discard(): void {
    rmSync(this.path, { force: true });
    rmSync(this.#statePath, { force: true });
  }

  close(): void {
    closeSync(this.#fd);
  }

  #resume(): void {
    const state = readState(this.#statePath);
    const { etag, sizeBytes, url } = this.#file;
    const isSame =
      state?.etag === etag &&
      state.url === withoutQuery(url) &&
      state.size_bytes === sizeBytes &&
      state.range_bytes === this.rangeBytes &&
      fstatSync(this.#fd).size === sizeBytes;
    const done = isSame ? state.done_bytes : [];
    const isSound = done.every((bytes, i) => bytes >= 0 && bytes <= this.rangeAt(i).length);
    if (isSame && isSound && done.length === this.doneBytes.length) {
      for (const [index, bytes] of done.entries()) this.doneBytes[index] = bytes;
      return;
    }
    rmSync(this.#statePath, { force: true });
    ftruncateSync(this.#fd, 0);
    ftruncateSync(this.#fd, sizeBytes);
  }
}

function readState(path: string): State | undefined {
  try {
    const state = JSON.parse(readFileSync(path, "utf8")) as Partial<State> | null;
    return Array.isArray(state?.done_bytes) ? (state as State) : undefined;
  } catch {
    // None, or one that is cut off: the download begins anew.
    return undefined;
  }
}

function attempt<Result>(path: string, run: () => Result): Result {
  try {
    return run();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const reason = code === "ENOSPC" ? "the disk is full" : message;
    throw new ReplicaError("LOCAL_FILE", `cannot write ${path}: ${reason}`, { cause });
  }
}
