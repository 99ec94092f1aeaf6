import { ReplicaError } from "../errors.ts";
import { Crc64 } from "./checksum.ts";
import { installedKernel } from "./kernel.ts";
import { decodeLz4Block, encodeLz4Block, lz4BlockBytesMax } from "./lz4-block.ts";
import { decodeLz4Frame, encodeLz4Frame, Lz4FrameExtent, lz4FrameBytesMax } from "./lz4-frame.ts";

/** Page number and flags. Six zero bytes instead end the pages. */
export const PAGE_HEADER_BYTES = 6;

/** The payload is an LZ4 block with its size before it; without this flag it is an LZ4 frame. */
const PAGE_FLAG_SIZED = 1;
const SIZED_HEADER_BYTES = 10;

/** How a page is compressed. Litestream before 0.5.16 reads frames only; newer ones read both. */
export type PageCodec = "block" | "frame";

export interface DecodedPage {
  readonly pgno: number;
  readonly page: Uint8Array;
}

export interface EncodePageOptions {
  /** Where in the target the frame is to begin; at its start if nothing is said. */
  readonly offset?: number;
  readonly checksum?: Crc64;
}

/** Most bytes that the frame of a page takes, in either codec. */
export function pageFrameBytesMax(pageSize: number): number {
  return SIZED_HEADER_BYTES + Math.max(lz4BlockBytesMax(pageSize), lz4FrameBytesMax(pageSize));
}

/**
 * The part of a page frame that the file's checksum covers as it stands. What follows is covered
 * decompressed.
 */
export function pageFrameHead(frame: Uint8Array): Uint8Array {
  return frame.subarray(0, isSized(frame, 0) ? SIZED_HEADER_BYTES : PAGE_HEADER_BYTES);
}

/**
 * Decodes one page frame.
 *
 * @param frame Its exact extent, as the page index gives it.
 * @param checksum A file's, which goes on with what it covers of the frame; void when this throws.
 * @param into Where the page is put, `pageSize` bytes; a buffer of its own where nothing is said.
 * @returns The page's number and its bytes.
 * @throws {ReplicaError} `CORRUPT_PAGE` when the frame is damaged or does not hold one page.
 */
export function decodePageFrame(
  frame: Uint8Array,
  pageSize: number,
  checksum?: Crc64,
  into?: Uint8Array,
): DecodedPage {
  if (frame.length < PAGE_HEADER_BYTES) {
    throw new ReplicaError("CORRUPT_PAGE", `a page frame of ${frame.length} bytes has no header`);
  }
  const pgno = readUint32(frame, 0);
  if (pgno === 0) throw new ReplicaError("CORRUPT_PAGE", "a page frame has page number 0");
  try {
    return { pgno, page: decodePayload(frame, pageSize, checksum, into) };
  } catch (error) {
    throw inPage(pgno, error);
  }
}

function decodePayload(
  frame: Uint8Array,
  pageSize: number,
  checksum?: Crc64,
  into?: Uint8Array,
): Uint8Array {
  const kernel = installedKernel();
  const isBlock = isSized(frame, 0);
  const payload = isBlock ? sizedPayload(frame) : frame.subarray(PAGE_HEADER_BYTES);
  if (isBlock && kernel) return kernel.decodeFrame(frame, pageSize, checksum, into);
  const page = into ?? new Uint8Array(pageSize);
  if (isBlock) decodeLz4Block(payload, page);
  else decodeLz4Frame(payload, page);
  checksum?.update(pageFrameHead(frame)).update(page);
  return page;
}

/**
 * Encodes a page as a frame into `target` from `offset` on, where there must be room for
 * `pageFrameBytesMax(page.length)`.
 *
 * @param checksum A file's, which goes on with what it covers of the frame.
 * @returns How many bytes it wrote.
 */
export function encodePageFrame(
  { pgno, page }: DecodedPage,
  target: Uint8Array,
  codec: PageCodec,
  { offset = 0, checksum = new Crc64() }: EncodePageOptions = {},
): number {
  const kernel = installedKernel();
  if (codec === "block" && kernel) return kernel.encodeFrame(pgno, page, target, offset, checksum);
  writeUint32(target, offset, pgno);
  target[offset + 4] = 0;
  target[offset + 5] = codec === "block" ? PAGE_FLAG_SIZED : 0;
  const payload = offset + (codec === "block" ? SIZED_HEADER_BYTES : PAGE_HEADER_BYTES);
  const encode = codec === "block" ? encodeLz4Block : encodeLz4Frame;
  const end = payload + encode(page, target, payload);
  if (codec === "block") writeUint32(target, offset + PAGE_HEADER_BYTES, end - payload);
  checksum.update(target.subarray(offset, payload)).update(page);
  return end - offset;
}

/** Finds where a page frame ends while its bytes arrive in pieces. One serves a whole file. */
export class PageFrameExtent {
  readonly #pageSize: number;
  readonly #lz4Frame = new Lz4FrameExtent();
  #stage: "header" | "size" | "block" | "frame" = "header";
  /** How many bytes of the frame `advance` must be given. */
  needed = PAGE_HEADER_BYTES;

  constructor(pageSize: number) {
    this.#pageSize = pageSize;
  }

  /** Begins with a new frame. */
  reset(): void {
    this.#stage = "header";
    this.needed = PAGE_HEADER_BYTES;
  }

  /**
   * Reads as much as the first `needed` bytes of the frame, at `start` in `bytes`, allow.
   *
   * @returns Whether those bytes are the whole frame; if not, `needed` has grown.
   * @throws {ReplicaError} `CORRUPT_PAGE` when this cannot be the frame of a page of that size.
   */
  advance(bytes: Uint8Array, start: number): boolean {
    try {
      return this.#advance(bytes, start);
    } catch (error) {
      throw inPage(readUint32(bytes, start), error);
    }
  }

  #advance(bytes: Uint8Array, start: number): boolean {
    if (this.#stage === "block") return true;
    if (this.#stage === "frame") {
      const isWhole = this.#lz4Frame.advance(bytes, start + PAGE_HEADER_BYTES);
      this.needed = PAGE_HEADER_BYTES + this.#lz4Frame.needed;
      return isWhole;
    }
    if (this.#stage === "size") {
      this.#stage = "block";
      this.needed = SIZED_HEADER_BYTES + this.#blockSize(bytes, start);
    } else if (isSized(bytes, start)) {
      this.#stage = "size";
      this.needed = SIZED_HEADER_BYTES;
    } else {
      this.#stage = "frame";
      this.#lz4Frame.reset(this.#pageSize);
      this.needed = PAGE_HEADER_BYTES + this.#lz4Frame.needed;
    }
    return false;
  }

  #blockSize(bytes: Uint8Array, start: number): number {
    const size = readUint32(bytes, start + PAGE_HEADER_BYTES);
    if (size > 0 && size <= lz4BlockBytesMax(this.#pageSize)) return size;
    throw new ReplicaError(
      "CORRUPT_PAGE",
      `a block of ${size} bytes cannot be that of a page of ${this.#pageSize}`,
    );
  }
}

function isSized(bytes: Uint8Array, start: number): boolean {
  const flags = (bytes[start + 4] << 8) | bytes[start + 5];
  if ((flags & ~PAGE_FLAG_SIZED) === 0) return flags === PAGE_FLAG_SIZED;
  throw new ReplicaError("CORRUPT_PAGE", `the flags 0x${flags.toString(16)} are not known here`);
}

function sizedPayload(frame: Uint8Array): Uint8Array {
  const payload = frame.subarray(SIZED_HEADER_BYTES);
  if (frame.length < SIZED_HEADER_BYTES || readUint32(frame, 6) !== payload.length) {
    throw new ReplicaError(
      "CORRUPT_PAGE",
      `its frame has ${frame.length} bytes, which is not what its size field says`,
    );
  }
  return payload;
}

function inPage(pgno: number, cause: unknown): unknown {
  if (!(cause instanceof ReplicaError)) return cause;
  return new ReplicaError("CORRUPT_PAGE", `page ${pgno} cannot be read: ${cause.message}`, {
    cause,
  });
}

function readUint32(bytes: Uint8Array, offset: number): number {
  return (
    ((bytes[offset] << 24) |
      (bytes[offset + 1] << 16) |
      (bytes[offset + 2] << 8) |
      bytes[offset + 3]) >>>
    0
  );
}

function writeUint32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 24;
  bytes[offset + 1] = value >>> 16;
  bytes[offset + 2] = value >>> 8;
  bytes[offset + 3] = value;
}
