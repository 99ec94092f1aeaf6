import { ReplicaError, isReplicaError } from "../errors.ts";
import { pageChecksum32 } from "../ltx/checksum.ts";
import { decodeLtx } from "../ltx/decoder.ts";
import { decodeHeader, LTX_HEADER_BYTES, type LtxHeader } from "../ltx/header.ts";
import { decodePageFrame, PAGE_HEADER_BYTES } from "../ltx/page-frame.ts";
import { LTX_INDEX_LENGTH_BYTES, readPageIndex } from "../ltx/page-index.ts";
import { checkTrailer, decodeTrailer, LTX_TRAILER_BYTES } from "../ltx/trailer.ts";
import { formatTxid } from "../ltx/txid.ts";
import type { LtxFileInfo } from "./list-ltx-files.ts";
import type { Replica } from "./ltx-key.ts";
import type { PageCache } from "./page-cache.ts";
import { readObject } from "./read-object.ts";

/** An LTX file up to this size is read whole, where the caller does not say otherwise, in bytes. */
const WHOLE_BYTES_DEFAULT = 64 * 1024;
/** No file that is larger is read whole, whoever asks: it has to fit into a Worker. In bytes. */
export const WHOLE_BYTES_MAX = 4 * 1024 * 1024;
/** Of a larger file, what is read of its beginning: header and the first pages, page 1 among them. */
const HEAD_BYTES = 64 * 1024;
const TAIL_BYTES_MIN = 32 * 1024;
/** An index that is longer than this has 50,000 pages: one more read for it is not what takes time. */
const TAIL_BYTES_MAX = 512 * 1024;
/** A page index is about so much of its file: 9 bytes for a page that compresses to some 1,400. */
const TAIL_SHARE = 1 / 160;
const FOOTER_BYTES = LTX_INDEX_LENGTH_BYTES + LTX_TRAILER_BYTES;
/** Header, the zero page header behind the pages, an empty index, its length, trailer. */
const LTX_BYTES_MIN = LTX_HEADER_BYTES + PAGE_HEADER_BYTES + 1 + FOOTER_BYTES;

/** An LTX file whose header and page index were read and checked. */
export interface LtxFile {
  readonly info: LtxFileInfo;
  readonly header: LtxHeader;
  /** The page index as it is stored: `readPageIndex` walks it. Some 9 bytes a page. */
  readonly index: Uint8Array;
  /** `pageChecksum32` of each page in the order of the index, where the file was read whole and verified. */
  readonly checksums?: Uint32Array | undefined;
}

export interface OpenLtxFileOptions {
  /** Takes the pages that come along with the file's beginning. */
  readonly cache?: PageCache | undefined;
  /**
   * A file up to so many bytes is read whole, its checksum verified, and each of its pages can be
   * verified from then on; 64 KiB when left out, `WHOLE_BYTES_MAX` at most.
   */
  readonly wholeBytesMax?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Names a content of an object: pages are cached under it. */
export function fileIdentity({ key, etag }: LtxFileInfo): string {
  return `${etag} ${key}`;
}

/**
 * Opens an LTX file: one read for a small one, two side by side for a larger one, and a third only
 * when the page index is longer than was guessed.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE`, naming the object; `OBJECT_MISSING` when it is gone.
 */
export async function openLtxFile(
  replica: Replica,
  info: LtxFileInfo,
  options: OpenLtxFileOptions = {},
): Promise<LtxFile> {
  try {
    if (info.sizeBytes < LTX_BYTES_MIN) refuse(`it has ${info.sizeBytes} bytes`);
    const wholeBytesMax = Math.min(options.wholeBytesMax ?? WHOLE_BYTES_DEFAULT, WHOLE_BYTES_MAX);
    const file = await (info.sizeBytes <= wholeBytesMax
      ? openWhole(replica, info, options)
      : openByParts(replica, info, options));
    checkRange(file);
    return file;
  } catch (cause) {
    if (!isReplicaError(cause, "CORRUPT_PAGE")) throw cause;
    const sentence = `"${info.key}" is damaged: ${cause.message}`;
    throw new ReplicaError("CORRUPT_PAGE", sentence, { cause });
  }
}

async function openWhole(
  replica: Replica,
  info: LtxFileInfo,
  { cache, signal }: OpenLtxFileOptions,
): Promise<LtxFile> {
  const range = { offset: 0, length: info.sizeBytes };
  const { bytes } = await readObject(replica, info, range, signal);
  const { header, pages } = decodeLtx(bytes);
  const index = indexAtEnd(bytes, indexLength(bytes, info.sizeBytes));
  const checksums = new Uint32Array(pages.length);
  const identity = fileIdentity(info);
  let next = 0;
  readPageIndex(index, (pgno, offset) => {
    const { data } = pages[next];
    checksums[next++] = pageChecksum32(pgno, data);
    cache?.set(identity, offset, data, true);
  });
  // A copy, so that the whole file is not kept for its index.
  return { info, header, index: index.slice(), checksums };
}

async function openByParts(
  replica: Replica,
  info: LtxFileInfo,
  { cache, signal }: OpenLtxFileOptions,
): Promise<LtxFile> {
  const { sizeBytes } = info;
  const guess = Math.min(Math.max(TAIL_BYTES_MIN, sizeBytes * TAIL_SHARE), TAIL_BYTES_MAX);
  const tailBytes = Math.min(sizeBytes, Math.ceil(guess));
  const [head, tail] = await Promise.all([
    readObject(replica, info, { offset: 0, length: HEAD_BYTES }, signal),
    readObject(replica, info, { offset: sizeBytes - tailBytes, length: tailBytes }, signal),
  ]);
  const header = decodeHeader(head.bytes);
  checkTrailer(decodeTrailer(tail.bytes.subarray(-LTX_TRAILER_BYTES)), header);
  const indexBytes = indexLength(tail.bytes, sizeBytes);
  const start = sizeBytes - FOOTER_BYTES - indexBytes;
  const known = indexAtEnd(tail.bytes, Math.min(indexBytes, tailBytes - FOOTER_BYTES));
  const index = new Uint8Array(indexBytes);
  index.set(known, indexBytes - known.length);
  if (known.length < indexBytes) {
    const missing = { offset: start, length: indexBytes - known.length };
    index.set((await readObject(replica, info, missing, signal)).bytes);
  }
  const identity = fileIdentity(info);
  const end = readPageIndex(index, (pgno, offset, size) => {
    if (offset + size > head.bytes.length || !cache || cache.has(identity, offset)) return;
    const frame = head.bytes.subarray(offset, offset + size);
    cache.set(identity, offset, decodeFrameOf(pgno, frame, header.pageSize));
  });
  if (end + PAGE_HEADER_BYTES !== start)
    refuse(`its pages end at byte ${end}, its index begins at ${start}`);
  return { info, header, index };
}

/** Decodes a frame and makes sure that it holds the page that was asked for. */
export function decodeFrameOf(pgno: number, frame: Uint8Array, pageSize: number): Uint8Array {
  const decoded = decodePageFrame(frame, pageSize);
  if (decoded.pgno === pgno) return decoded.page;
  return refuse(`the frame of page ${pgno} holds page ${decoded.pgno}`);
}

function checkRange({ info, header }: LtxFile): void {
  if (header.minTxid === info.minTxid && header.maxTxid === info.maxTxid) return;
  refuse(
    `it holds TXIDs ${formatTxid(header.minTxid)} to ${formatTxid(header.maxTxid)}, which its name does not say`,
  );
}

function indexLength(tail: Uint8Array, sizeBytes: number): number {
  const view = new DataView(tail.buffer, tail.byteOffset, tail.length);
  const length = view.getBigUint64(tail.length - FOOTER_BYTES);
  const lengthMax = sizeBytes - LTX_BYTES_MIN + 1;
  if (length < 1n || length > lengthMax) refuse(`its page index claims ${length} bytes`);
  return Number(length);
}

/** The page index in `bytes`, which end as the file does and hold all of it. */
function indexAtEnd(bytes: Uint8Array, length: number): Uint8Array {
  const end = bytes.length - FOOTER_BYTES;
  return bytes.subarray(end - length, end);
}

function refuse(what: string): never {
  throw new ReplicaError("CORRUPT_PAGE", what);
}
