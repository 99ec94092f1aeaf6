/**
 * LZ4 frames, in which Litestream before 0.5.16 wrote pages: one frame a page, nearly always of one
 * block. The container is read here by hand, one frame at a time and no byte beyond it, because a
 * page has no length of its own in that form. XXH32 is lz4js's.
 *
 * @see https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
 */
import { hash as xxh32 } from "lz4js/xxh32.js";
import { ReplicaError } from "../errors.ts";
import { decodeLz4BlockAt, encodeLz4Block, lz4BlockBytesMax } from "./lz4-block.ts";

const MAGIC = 0x184d2204;
const MAGIC_BYTES = 4;
const WORD_BYTES = 4;
const CONTENT_SIZE_BYTES = 8;
/** Magic, flags, block descriptor and header checksum. */
const HEADER_BYTES_MIN = 7;

const FLAG_VERSION_MASK = 0xc0;
const FLAG_VERSION = 0x40;
const FLAG_BLOCKS_INDEPENDENT = 0x20;
const FLAG_BLOCK_CHECKSUM = 0x10;
const FLAG_CONTENT_SIZE = 0x08;
const FLAG_CONTENT_CHECKSUM = 0x04;
const FLAG_RESERVED = 0x02;
const FLAG_DICTIONARY = 0x01;
/** Bits of a block's length word. */
const BLOCK_STORED = 0x8000_0000;
const BLOCK_LENGTH_MASK = 0x7fff_ffff;

/** Magic, flags (independent blocks, content checksum), 64 KiB blocks, header checksum: as Litestream wrote it. */
const WRITTEN_HEADER = Uint8Array.of(0x04, 0x22, 0x4d, 0x18, 0x64, 0x40, 0xa7);

/** Most bytes that the frame of a page of `size` bytes takes as it is written here. */
export function lz4FrameBytesMax(size: number): number {
  // The block is encoded in place, and only then found to be no smaller than the page.
  return WRITTEN_HEADER.length + WORD_BYTES + lz4BlockBytesMax(size) + 2 * WORD_BYTES;
}

/**
 * Most bytes of a frame that is read: even blocks of a single byte, with checksums, take no more. It
 * bounds how much of a damaged file is gathered before it is refused.
 */
function readBytesMax(size: number): number {
  return 64 + 2 * lz4BlockBytesMax(size) + 8 * size;
}

/**
 * Encodes `page`, at most 64 KiB, as one frame into `target` from `targetOffset` on, where there must
 * be room for `lz4FrameBytesMax(page.length)`.
 *
 * @returns How many bytes it wrote.
 */
export function encodeLz4Frame(page: Uint8Array, target: Uint8Array, targetOffset: number): number {
  target.set(WRITTEN_HEADER, targetOffset);
  const lengthOffset = targetOffset + WRITTEN_HEADER.length;
  const blockOffset = lengthOffset + WORD_BYTES;
  let length = encodeLz4Block(page, target, blockOffset);
  if (length < page.length) {
    writeWord(target, lengthOffset, length);
  } else {
    length = page.length;
    writeWord(target, lengthOffset, length | BLOCK_STORED);
    target.set(page, blockOffset);
  }
  const endOffset = blockOffset + length;
  writeWord(target, endOffset, 0);
  writeWord(target, endOffset + WORD_BYTES, xxh32(0, page, 0, page.length));
  return endOffset + 2 * WORD_BYTES - targetOffset;
}

/**
 * Decodes `frame`, exactly one, into the whole of `page`.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` when any part of it is damaged, or it holds more or fewer
 *   bytes.
 */
export function decodeLz4Frame(frame: Uint8Array, page: Uint8Array): void {
  if (frame.length < HEADER_BYTES_MIN) refuseEarlyEnd();
  const flags = readFlags(frame, 0);
  let offset = checkFrameHeader(frame, flags, page.length);
  let written = 0;
  // Bounded by the frame: every pass reads a length.
  for (;;) {
    if (offset + WORD_BYTES > frame.length) refuseEarlyEnd();
    const word = readWord(frame, offset);
    offset += WORD_BYTES;
    if (word === 0) break;
    const end = offset + (word & BLOCK_LENGTH_MASK);
    if (end > frame.length) refuseEarlyEnd();
    const block = frame.subarray(offset, end);
    offset = end;
    if ((flags & FLAG_BLOCK_CHECKSUM) !== 0) {
      checkXxh32(block, frame, offset, "a block");
      offset += WORD_BYTES;
    }
    if ((word & BLOCK_STORED) === 0) {
      const historyStart = (flags & FLAG_BLOCKS_INDEPENDENT) !== 0 ? written : 0;
      written = decodeLz4BlockAt(block, page, written, historyStart);
    } else {
      if (written + block.length > page.length) refuse(`it holds more than ${page.length} bytes`);
      page.set(block, written);
      written += block.length;
    }
  }
  if (written < page.length) refuse(`it holds ${written} bytes, not ${page.length}`);
  if ((flags & FLAG_CONTENT_CHECKSUM) !== 0) {
    checkXxh32(page, frame, offset, "its content");
    offset += WORD_BYTES;
  }
  if (offset < frame.length) refuse(`${frame.length - offset} bytes follow it`);
}

/** Finds where a frame ends while its bytes arrive in pieces. */
export class Lz4FrameExtent {
  /** How many bytes of the frame `advance` must be given. */
  needed = HEADER_BYTES_MIN;
  #bytesMax = 0;
  #checksumBytes = 0;
  #contentChecksumBytes = 0;
  /** Where the next block's length lies; 0 before the header is read. */
  #next = 0;
  #isEnded = false;

  /** Begins with a new frame, of a page of `pageSize` bytes. */
  reset(pageSize: number): void {
    this.needed = HEADER_BYTES_MIN;
    this.#bytesMax = readBytesMax(pageSize);
    this.#next = 0;
    this.#isEnded = false;
  }

  /**
   * Reads as much as the first `needed` bytes of the frame, at `start` in `bytes`, allow.
   *
   * @returns Whether those bytes are the whole frame; if not, `needed` has grown.
   * @throws {ReplicaError} `CORRUPT_PAGE` when this is no frame, or one too large for its page.
   */
  advance(bytes: Uint8Array, start: number): boolean {
    if (this.#isEnded) return true;
    if (this.#next === 0) {
      const flags = readFlags(bytes, start);
      this.#checksumBytes = (flags & FLAG_BLOCK_CHECKSUM) !== 0 ? WORD_BYTES : 0;
      this.#contentChecksumBytes = (flags & FLAG_CONTENT_CHECKSUM) !== 0 ? WORD_BYTES : 0;
      this.#next = headerBytes(flags);
    } else {
      const word = readWord(bytes, start + this.#next);
      this.#next += WORD_BYTES;
      if (word === 0) {
        this.#isEnded = true;
        this.needed = this.#next + this.#contentChecksumBytes;
        return this.#contentChecksumBytes === 0;
      }
      this.#next += (word & BLOCK_LENGTH_MASK) + this.#checksumBytes;
    }
    this.needed = this.#next + WORD_BYTES;
    if (this.needed > this.#bytesMax) refuse("it is larger than its page allows");
    return false;
  }
}

function headerBytes(flags: number): number {
  return HEADER_BYTES_MIN + ((flags & FLAG_CONTENT_SIZE) !== 0 ? CONTENT_SIZE_BYTES : 0);
}

/** The flags of the frame at `start`, once they are known to be flags that we can follow. */
function readFlags(bytes: Uint8Array, start: number): number {
  if (readWord(bytes, start) !== MAGIC) refuse("it does not begin as a frame does");
  const flags = bytes[start + MAGIC_BYTES];
  if ((flags & FLAG_VERSION_MASK) !== FLAG_VERSION || (flags & FLAG_RESERVED) !== 0) {
    refuse(`its flags 0x${flags.toString(16)} are not known here`);
  }
  if ((flags & FLAG_DICTIONARY) !== 0) refuse("it needs a dictionary");
  return flags;
}

/** Checks what follows the flags; returns where the first block begins. */
function checkFrameHeader(frame: Uint8Array, flags: number, pageSize: number): number {
  const end = headerBytes(flags);
  if (end > frame.length) refuseEarlyEnd();
  const descriptor = frame[MAGIC_BYTES + 1];
  // Codes 4 to 7: blocks of 64 KiB to 4 MiB. All hold a whole page.
  if ((descriptor & 0x8f) !== 0 || descriptor >> 4 < 4) {
    refuse(`its block descriptor 0x${descriptor.toString(16)} is not known here`);
  }
  const sum = (xxh32(0, frame, MAGIC_BYTES, end - 1 - MAGIC_BYTES) >>> 8) & 0xff;
  if (frame[end - 1] !== sum) refuse("the checksum of its header is wrong");
  if ((flags & FLAG_CONTENT_SIZE) !== 0) {
    const [low, high] = [readWord(frame, end - 9), readWord(frame, end - 5)];
    if (high !== 0 || low !== pageSize) refuse(`it promises another size than ${pageSize} bytes`);
  }
  return end;
}

function checkXxh32(bytes: Uint8Array, frame: Uint8Array, offset: number, what: string): void {
  if (offset + WORD_BYTES > frame.length) refuseEarlyEnd();
  if (xxh32(0, bytes, 0, bytes.length) === readWord(frame, offset)) return;
  refuse(`the checksum of ${what} is wrong`);
}

/** Little-endian, unsigned. */
function readWord(bytes: Uint8Array, offset: number): number {
  return (
    (bytes[offset] |
      (bytes[offset + 1] << 8) |
      (bytes[offset + 2] << 16) |
      (bytes[offset + 3] << 24)) >>>
    0
  );
}

function writeWord(bytes: Uint8Array, offset: number, word: number): void {
  bytes[offset] = word;
  bytes[offset + 1] = word >>> 8;
  bytes[offset + 2] = word >>> 16;
  bytes[offset + 3] = word >>> 24;
}

function refuseEarlyEnd(): never {
  return refuse("it ends too early");
}

function refuse(what: string): never {
  throw new ReplicaError("CORRUPT_PAGE", `the LZ4 frame is damaged: ${what}`);
}
