/**
 * The codec's hot loops in WebAssembly: what `kernel.wat` is built to. It is put in place once, where a
 * program is put together; without it everything works the same, in TypeScript and more slowly.
 *
 * It is one for the whole program and not an argument, because it has no state between calls and
 * changes no result: only whoever starts a program knows how its wasm comes in.
 */
import { ReplicaError } from "../errors.ts";

/** Addresses in the kernel's memory; `kernel.wat` describes it. */
const REGISTER = 8192;
const INPUT = 8448;
const OUTPUT = 74_560;
const SUM_KEY = 140_800;
const INDEX_STATE = 8_200;
const INDEX_LOW = 90_944;
const INDEX_SIZE = 107_328;
const INDEX_HIGH = 123_712;
/** Entries that come out at a time, and bytes that go in for them. */
const ENTRIES_MAX = 4_096;
const ENTRIES_BYTES = 8 * ENTRIES_MAX;
/** Most bytes that are put in at a time. */
const INPUT_BYTES_MAX = 65_819;
const PAGE_BYTES_MAX = 65_536;
/** Page number, flags and the block's size, which a file's checksum covers as they stand. */
const FRAME_HEAD_BYTES = 10;

/** Why a block was refused, by what the kernel answers. */
const FAULTS: Readonly<Record<number, string>> = {
  [-1]: "it ends too early",
  [-3]: "a match has distance 0",
  [-4]: "a match reaches back before its start",
};

/** The register of a CRC-64, in two halves of 32 bits. */
export interface Register {
  high: number;
  low: number;
}

/** What the upper part of an offset counts for. */
export const OFFSET_HIGH = 2 ** 32;

/**
 * Some entries of a page index, each of their parts in a row. They lie in the kernel's memory: they are gone when it
 * is used again.
 */
export interface IndexColumns {
  readonly pgnos: Uint32Array;
  /** Where frames begin in the file, in bytes: the lower 32 bits, and the 16 above them. */
  readonly offsetsLow: Uint32Array;
  readonly offsetsHigh: Uint16Array;
  /** Bytes in the frames. */
  readonly sizes: Uint32Array;
}

interface KernelExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  crc(from: number, length: number): void;
  encodeFrame(pgno: number, size: number): number;
  decodeFrame(length: number, room: number): number;
  sum(size: number): void;
  index(length: number): number;
}

/** One instance of the kernel, with its own 256 KiB of memory. */
export class Kernel {
  readonly #exports: KernelExports;
  readonly #bytes: Uint8Array;
  readonly #register: Int32Array;
  readonly #sum: BigUint64Array;
  /** Of the index that is read: the last page number, nothing, the next frame's place in two halves, bytes read. */
  readonly #index: Uint32Array;
  readonly #columns: IndexColumns;
  /** Whose bytes are in the kernel's memory. */
  #sumKey: Uint8Array | undefined;

  constructor(module: WebAssembly.Module) {
    this.#exports = new WebAssembly.Instance(module).exports as unknown as KernelExports;
    const { buffer } = this.#exports.memory;
    this.#bytes = new Uint8Array(buffer);
    this.#register = new Int32Array(buffer, REGISTER, 2);
    this.#sum = new BigUint64Array(buffer, REGISTER, 1);
    this.#index = new Uint32Array(buffer, INDEX_STATE, 5);
    this.#columns = {
      pgnos: new Uint32Array(buffer, OUTPUT, ENTRIES_MAX),
      offsetsLow: new Uint32Array(buffer, INDEX_LOW, ENTRIES_MAX),
      offsetsHigh: new Uint16Array(buffer, INDEX_HIGH, ENTRIES_MAX),
      sizes: new Uint32Array(buffer, INDEX_SIZE, ENTRIES_MAX),
    };
  }

  /** Moves `register` on over `bytes`. */
  update(register: Register, bytes: Uint8Array): void {
    this.#load(register);
    for (let offset = 0; offset < bytes.length; offset += PAGE_BYTES_MAX) {
      const end = Math.min(offset + PAGE_BYTES_MAX, bytes.length);
      this.#bytes.set(bytes.subarray(offset, end), INPUT);
      this.#exports.crc(INPUT, end - offset);
    }
    this.#store(register);
  }

  /**
   * Encodes a page of at most 64 KiB as a frame that holds an LZ4 block, into `target` from `offset` on,
   * and moves `register` on over what a file's checksum covers of it.
   *
   * @returns How many bytes it wrote.
   */
  encodeFrame(
    pgno: number,
    page: Uint8Array,
    target: Uint8Array,
    offset: number,
    register: Register,
  ): number {
    // Whatever is longer would be written over what the memory holds behind it.
    if (page.length > PAGE_BYTES_MAX) throw new RangeError("a page has at most 65,536 bytes");
    this.#bytes.set(page, INPUT);
    this.#load(register);
    const length = this.#exports.encodeFrame(pgno, page.length);
    this.#store(register);
    target.set(this.#bytes.subarray(OUTPUT, OUTPUT + length), offset);
    return length;
  }

  /**
   * Decodes a frame that holds an LZ4 block, and moves `register`, where there is one, on over what a
   * file's checksum covers of it. The frame's own fields are the caller's to check.
   *
   * @param into Where the page is put; a buffer of its own where nothing is said.
   * @returns The page.
   * @throws {ReplicaError} `CORRUPT_PAGE` when the block is damaged or is not one page of `pageSize` bytes.
   */
  decodeFrame(
    frame: Uint8Array,
    pageSize: number,
    register?: Register,
    into: Uint8Array = new Uint8Array(pageSize),
  ): Uint8Array {
    // No block of a page is so long; the fallback would find that out only at its end.
    if (frame.length > INPUT_BYTES_MAX || pageSize > PAGE_BYTES_MAX) refuse(-2, pageSize);
    this.#bytes.set(frame, INPUT);
    const held = this.#exports.decodeFrame(frame.length, pageSize);
    if (held !== pageSize) refuse(held, pageSize);
    if (register) {
      this.#load(register);
      this.#exports.crc(INPUT, FRAME_HEAD_BYTES);
      this.#exports.crc(OUTPUT, pageSize);
      this.#store(register);
    }
    into.set(this.#bytes.subarray(OUTPUT, OUTPUT + pageSize));
    return into;
  }

  /** The sum of a page, of a multiple of 32 bytes up to 64 KiB; see `sumPage`. A key's bytes never change. */
  sumPage(page: Uint8Array, key: Uint8Array): bigint {
    if (page.length > PAGE_BYTES_MAX) throw new RangeError("a page has at most 65,536 bytes");
    if (this.#sumKey !== key) {
      this.#bytes.set(key, SUM_KEY);
      this.#sumKey = key;
    }
    this.#bytes.set(page, INPUT);
    this.#exports.sum(page.length);
    return this.#sum[0];
  }

  /**
   * Reads a page index whose frames begin at `start`, and shows its entries, some at a time.
   *
   * @returns Where the last frame ends; undefined where something is wrong behind the entries that were shown.
   */
  readIndex(
    block: Uint8Array,
    start: number,
    visit: (columns: IndexColumns) => void,
  ): number | undefined {
    const state = this.#index;
    state.set([0, 0, start, 0, 0]);
    // Bounded by the block: each turn reads bytes of it.
    for (let read = 0; ;) {
      const piece = block.subarray(read, read + ENTRIES_BYTES);
      this.#bytes.set(piece, INPUT);
      const count = this.#exports.index(piece.length);
      read += state[4];
      const end = state[3] * OFFSET_HIGH + state[2];
      if (count > 0) visit(firstOf(this.#columns, count));
      if (block[read] === 0 && read === block.length - 1) return end;
      if (count === 0) return undefined;
    }
  }

  #load({ high, low }: Register): void {
    this.#register[0] = low;
    this.#register[1] = high;
  }

  #store(register: Register): void {
    register.low = this.#register[0];
    register.high = this.#register[1];
  }
}

function firstOf(columns: IndexColumns, count: number): IndexColumns {
  if (count === ENTRIES_MAX) return columns;
  const { pgnos, offsetsLow, offsetsHigh, sizes } = columns;
  return {
    pgnos: pgnos.subarray(0, count),
    offsetsLow: offsetsLow.subarray(0, count),
    offsetsHigh: offsetsHigh.subarray(0, count),
    sizes: sizes.subarray(0, count),
  };
}

let installed: Kernel | undefined;

/** Puts the kernel in place for the whole program. */
export function installKernel(module: WebAssembly.Module): void {
  installed = new Kernel(module);
}

/** The kernel, where there is one. */
export function installedKernel(): Kernel | undefined {
  return installed;
}

/** In the words of `decodeLz4Block`. */
function refuse(held: number, pageSize: number): never {
  const what =
    FAULTS[held] ??
    (held === -2
      ? `it holds more than ${pageSize} bytes`
      : `it holds ${held} bytes, not ${pageSize}`);
  throw new ReplicaError("CORRUPT_PAGE", `the LZ4 block is damaged: ${what}`);
}
