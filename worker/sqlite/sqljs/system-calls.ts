import type { ReadableFile } from "../build.ts";
import { CALIBRATION } from "./calibration.ts";
import type { Memory } from "../wasm/memory.ts";
import { runtimeCalls } from "../wasm/runtime-calls.ts";

/** The answer to a read whose page is missing; `page-fault.wat` knows it. */
const PAGE_MISSING = 1000;

/** Errnos as Emscripten numbers them; a system call gives them back negated. */
const EACCES = 2;
const EBADF = 8;
const EINVAL = 28;
const ENOENT = 44;
const ENOSYS = 52;

const O_ACCMODE = 3;
const F_GETLK = 12;
const F_UNLCK = 2;
const REGULAR_FILE_READ_ONLY = 0o100444;
const STAT_BYTES = 96;

/** SQLite takes no descriptor below 3, where a C program has its standard streams. */
const DESCRIPTOR_MIN = 3;

interface OpenFile {
  readonly path: string;
  readonly file: ReadableFile;
  position: number;
}

const RANDOM_DEVICE: ReadableFile = {
  sizeBytes: 0,
  read: (_position, target) => crypto.getRandomValues(target).length,
  fault: () => Promise.resolve(false),
};

/**
 * The operating system of one instance: files that were registered can be opened for reading, and
 * that is all there is. Nothing can be created, written, mapped or removed, so whatever gets by the
 * authorizer still finds no place to write to.
 */
export class SystemCalls {
  readonly #files = new Map<string, ReadableFile>();
  readonly #open = new Map<number, OpenFile>();
  readonly #mayGrowTo: (bytes: number) => boolean;
  #memory: Memory | undefined;
  /** Never used twice: SQLite tells files apart by their inode, which is this number. */
  #nextDescriptor = DESCRIPTOR_MIN;

  constructor(mayGrowTo: (bytes: number) => boolean) {
    this.#mayGrowTo = mayGrowTo;
  }

  /** Descriptors that SQLite holds now. */
  get openCount(): number {
    return this.#open.size;
  }

  attach(memory: Memory): void {
    this.#memory = memory;
  }

  register(path: string, file: ReadableFile): void {
    this.#files.set(path, file);
  }

  unregister(path: string): void {
    this.#files.delete(path);
  }

  fileOf(descriptor: number): ReadableFile | undefined {
    return this.#open.get(descriptor)?.file;
  }

  /** Every import of the module, by its minified name; those that no role names are refused. */
  imports(module: WebAssembly.Module): Record<string, (...args: never[]) => unknown> {
    const refused = WebAssembly.Module.imports(module).map(
      ({ name }) => [name, () => -ENOSYS] as const,
    );
    const roles = Object.entries(this.#roles()).map(
      ([role, answer]) => [CALIBRATION.imports[role as Role], answer] as const,
    );
    return Object.fromEntries<(...args: never[]) => unknown>([...refused, ...roles]);
  }

  #roles(): Record<Role, (...args: never[]) => unknown> {
    return {
      ...runtimeCalls(() => this.#bytesOf, this.#mayGrowTo),
      openat: (_folder: number, path: number, flags: number) => this.#openat(path, flags),
      fdClose: (descriptor: number) => (this.#open.delete(descriptor) ? 0 : EBADF),
      fdRead: (descriptor: number, vectors: number, count: number, out: number) =>
        this.#read(descriptor, vectors, count, out),
      fdSeek: (descriptor: number, offset: bigint, whence: number, out: number) =>
        this.#seek(descriptor, offset, whence, out),
      fstat: (descriptor: number, out: number) => {
        const open = this.#open.get(descriptor);
        return open === undefined ? -EBADF : this.#stat(open.file, descriptor, out);
      },
      stat: (path: number, out: number) => this.#statPath(path, out),
      lstat: (path: number, out: number) => this.#statPath(path, out),
      faccessat: (_folder: number, path: number) => (this.#find(path) ? 0 : -ENOENT),
      fcntl: (_descriptor: number, command: number, args: number) => {
        // Nobody else has the file: every lock is free.
        if (command === F_GETLK)
          this.#bytesOf.view.setInt16(this.#bytesOf.word(args), F_UNLCK, true);
        return 0;
      },
      getcwd: (out: number, bytes: number) => {
        if (bytes < 2) return -EINVAL;
        this.#bytesOf.bytes.set([0x2f, 0], out);
        return 2;
      },
    };
  }

  get #bytesOf(): Memory {
    if (this.#memory === undefined) throw new Error("SQLite called before its memory was there");
    return this.#memory;
  }

  #find(path: number): ReadableFile | undefined {
    return this.#files.get(this.#bytesOf.cString(path) ?? "");
  }

  #openat(address: number, flags: number): number {
    const path = this.#bytesOf.cString(address) ?? "";
    const file = path === "/dev/urandom" ? RANDOM_DEVICE : this.#files.get(path);
    if (file === undefined) return -ENOENT;
    // SQLite then opens the same file again for reading only, and the connection is read-only.
    if ((flags & O_ACCMODE) !== 0) return -EACCES;
    const descriptor = this.#nextDescriptor++;
    this.#open.set(descriptor, { path, file, position: 0 });
    return descriptor;
  }

  #read(descriptor: number, vectors: number, count: number, out: number): number {
    const open = this.#open.get(descriptor);
    if (open === undefined) return EBADF;
    const memory = this.#bytesOf;
    let total = 0;
    for (let index = 0; index < count; index++) {
      const address = memory.word(vectors + index * 8);
      const bytes = memory.word(vectors + index * 8 + 4);
      const target = memory.bytes.subarray(address, address + bytes);
      const read = open.file.read(open.position + total, target);
      // The position has not moved, so the same read can be made again.
      if (read < 0) return PAGE_MISSING;
      total += read;
      if (read < bytes) break;
    }
    open.position += total;
    memory.setWord(out, total);
    return 0;
  }

  #seek(descriptor: number, offset: bigint, whence: number, out: number): number {
    const open = this.#open.get(descriptor);
    if (open === undefined) return EBADF;
    const from = [0, open.position, open.file.sizeBytes][whence];
    const position = from === undefined ? -1 : from + Number(offset);
    if (!Number.isSafeInteger(position) || position < 0) return EINVAL;
    open.position = position;
    this.#bytesOf.setLong(out, BigInt(position));
    return 0;
  }

  #statPath(path: number, out: number): number {
    const name = this.#bytesOf.cString(path) ?? "";
    const file = this.#files.get(name);
    if (file === undefined) return -ENOENT;
    const held = [...this.#open].find(([, open]) => open.path === name);
    return this.#stat(file, held?.[0] ?? 0, out);
  }

  #stat(file: ReadableFile, inode: number, out: number): number {
    const { bytes, view } = this.#bytesOf;
    bytes.fill(0, out, out + STAT_BYTES);
    view.setUint32(out, 1, true);
    view.setUint32(out + 4, REGULAR_FILE_READ_ONLY, true);
    view.setUint32(out + 8, 1, true);
    view.setBigInt64(out + 24, BigInt(file.sizeBytes), true);
    view.setUint32(out + 32, 4096, true);
    view.setBigInt64(out + 88, BigInt(inode), true);
    return 0;
  }
}

type Role = keyof typeof CALIBRATION.imports;
