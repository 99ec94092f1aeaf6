import type { ReadableFile } from "../build.ts";
import type { Memory } from "../wasm/memory.ts";
import type { FileRegistry } from "../wasm/wasm-instance.ts";

/** What the host answers to `file-system.wat`, for files that were registered. */
export class LentFiles implements FileRegistry {
  readonly #memory: Memory;
  readonly #files = new Map<string, ReadableFile>();
  readonly #open = new Map<number, ReadableFile>();
  #nextNumber = 1;

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  register(path: string, file: ReadableFile): void {
    this.#files.set(path, file);
  }

  unregister(path: string): void {
    this.#files.delete(path);
  }

  /** A number for the file, or -1. A temporary file has no name, and is not to be had. */
  open(address: number): number {
    const file = this.#files.get(this.#memory.cString(address) ?? "");
    if (file === undefined) return -1;
    const number = this.#nextNumber++;
    this.#open.set(number, file);
    return number;
  }

  close(number: number): void {
    this.#open.delete(number);
  }

  read(number: number, target: number, bytes: number, from: number): number {
    const file = this.#open.get(number);
    return file?.read(from, this.#memory.bytes.subarray(target, target + bytes)) ?? 0;
  }

  /** Whether the page of the last read is there now. */
  async fault(number: number): Promise<boolean> {
    return (await this.#open.get(number)?.fault()) === true;
  }

  sizeBytes(number: number): number {
    return this.#open.get(number)?.sizeBytes ?? 0;
  }
}
