import { ReplicaError, isReplicaError } from "../errors.ts";
import { pageChecksum32 } from "../ltx/checksum.ts";
import { LtxDecoder } from "../ltx/decoder.ts";
import { decodeHeader, LTX_HEADER_BYTES, type LtxHeader } from "../ltx/header.ts";
import { readIndexWindow, type IndexWindow } from "../ltx/index-window.ts";
import { PAGE_HEADER_BYTES, PageFrameExtent } from "../ltx/page-frame.ts";
import { LTX_INDEX_LENGTH_BYTES, readPageIndex, readPageIndexColumns } from "../ltx/page-index.ts";
import { checkTrailer, decodeTrailer, LTX_TRAILER_BYTES } from "../ltx/trailer.ts";
import { formatTxid } from "../ltx/txid.ts";
import { uvarintBytes } from "../ltx/varint.ts";
import type { IndexWindows } from "./index-windows.ts";
import type { LtxFileInfo } from "./list-ltx-files.ts";
import type { Replica } from "./ltx-key.ts";
import type { PageCache } from "./page-cache.ts";
import { decodeFrameOf, FramesAlong, type FrameVisitor } from "./frames-along.ts";
import { readObject } from "./read-object.ts";

/** An LTX file up to this size is read whole, where the caller does not say otherwise, in bytes. */
const WHOLE_BYTES_DEFAULT = 64 * 1024;
/** No file that is larger is read whole, whoever asks: it has to fit into a Worker. In bytes. */
export const WHOLE_BYTES_MAX = 4 * 1024 * 1024;
/** Pages of it that are decoded and kept, in bytes: 4 MiB may stand for a gigabyte of zeros. */
const DECODED_BYTES_MAX = 16 * 1024 * 1024;
/** Of a larger file, what is read of its beginning: header and the first pages, page 1 among them. */
const HEAD_BYTES = 64 * 1024;
const TAIL_BYTES_MIN = 32 * 1024;
/** A longer page index, of some 50,000 pages, is not read whole: who wants a row needs little of it. In bytes. */
const INDEX_BYTES_MAX = 512 * 1024;
/** What is read of the end of a file whose index is surely longer, and kept of one whose index turns out to be. */
const LAZY_TAIL_BYTES = 64 * 1024;
/** A page index is about so much of its file: 9 bytes for a page that compresses to some 1,400. */
const TAIL_SHARE = 1 / 160;
const FOOTER_BYTES = LTX_INDEX_LENGTH_BYTES + LTX_TRAILER_BYTES;
/** Header, the zero page header behind the pages, an empty index, its length, trailer. */
const LTX_BYTES_MIN = LTX_HEADER_BYTES + PAGE_HEADER_BYTES + 1 + FOOTER_BYTES;

/** Where the page index of a file lies, and what it ends with. */
export interface IndexBounds {
  /** In bytes from the start of the file. */
  readonly offset: number;
  /** In bytes, with the zero that closes it. */
  readonly length: number;
  /** The last page in it; 0 when there is none. */
  readonly lastPgno: number;
}

/** An LTX file whose header and page index, or the bounds of it, were read and checked. */
export interface LtxFile {
  readonly info: LtxFileInfo;
  readonly header: LtxHeader;
  /**
   * The page index as it is stored: `readPageIndex` walks it. Some 9 bytes a page. Undefined when it is
   * so long that only parts of it are read, as a `LazyIndex` does.
   */
  readonly index: Uint8Array | undefined;
  readonly bounds: IndexBounds;
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
  /** Takes the parts of a long page index that come along. */
  readonly windows?: IndexWindows | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Names a content of an object: pages are cached under it. */
export function fileIdentity({ key, etag }: LtxFileInfo): string {
  return `${etag} ${key}`;
}

/**
 * Opens an LTX file: one read for a small one, two side by side for a larger one, and a third only
 * when the page index is longer than was guessed and no longer than 512 KiB.
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
  const { header, lastPgno, checksums, pages } = decodeWhole(bytes);
  const index = indexAtEnd(bytes, indexLength(bytes, info.sizeBytes));
  const offset = bytes.length - FOOTER_BYTES - index.length;
  const bounds = { offset, length: index.length, lastPgno };
  const identity = fileIdentity(info);
  let next = 0;
  readPageIndex(index, (_pgno, frameOffset) => {
    if (next < pages.length) cache?.set(identity, frameOffset, pages[next++], true);
  });
  // A copy, so that the whole file is not kept for its index.
  return { info, header, index: index.slice(), bounds, checksums };
}

/** Verifies a file, and decodes its first pages: all of them, but where they compress uncommonly well. */
function decodeWhole(bytes: Uint8Array) {
  const decoder = new LtxDecoder();
  const checksums: number[] = [];
  const pages: Uint8Array[] = [];
  let [lastPgno, pagesBytes] = [0, 0];
  for (const { pgno, data } of decoder.push(bytes)) {
    lastPgno = pgno;
    checksums.push(pageChecksum32(pgno, data));
    pagesBytes += data.length;
    if (pagesBytes <= DECODED_BYTES_MAX) pages.push(data);
  }
  const { header } = decoder.finish();
  return { header, lastPgno, checksums: Uint32Array.from(checksums), pages };
}

async function openByParts(
  replica: Replica,
  info: LtxFileInfo,
  options: OpenLtxFileOptions,
): Promise<LtxFile> {
  const { sizeBytes } = info;
  const { signal } = options;
  const tailBytes = guessTailBytes(sizeBytes);
  const [head, tail] = await Promise.all([
    readObject(replica, info, { offset: 0, length: HEAD_BYTES }, signal),
    readObject(replica, info, { offset: sizeBytes - tailBytes, length: tailBytes }, signal),
  ]);
  const header = decodeHeader(head.bytes);
  checkTrailer(decodeTrailer(tail.bytes.subarray(-LTX_TRAILER_BYTES)), header);
  const length = indexLength(tail.bytes, sizeBytes);
  const offset = sizeBytes - FOOTER_BYTES - length;
  const known = indexAtEnd(tail.bytes, Math.min(length, tailBytes - FOOTER_BYTES));
  const parts = { info, header, head: head.bytes, indexTail: known, offset, length };
  if (length > INDEX_BYTES_MAX) return openLazily(parts, options);
  const index = new Uint8Array(length);
  index.set(known, length - known.length);
  if (known.length < length) {
    const missing = { offset, length: length - known.length };
    index.set((await readObject(replica, info, missing, signal)).bytes);
  }
  let lastPgno = 0;
  const along = new FramesAlong(head.bytes, tail.bytes, sizeBytes);
  const end = readPageIndexColumns(index, (columns) => {
    lastPgno = columns.pgnos[columns.pgnos.length - 1];
    along.note(columns);
  });
  along.take(frameTaker(parts, options));
  checkEnd(end, offset);
  return { info, header, index, bounds: { offset, length, lastPgno } };
}

function guessTailBytes(sizeBytes: number): number {
  const guess = sizeBytes * TAIL_SHARE;
  if (guess > 2 * INDEX_BYTES_MAX) return LAZY_TAIL_BYTES;
  const bounded = Math.min(Math.max(TAIL_BYTES_MIN, guess), INDEX_BYTES_MAX);
  return Math.min(sizeBytes, Math.ceil(bounded));
}

/** What was read of a large file. */
interface FileParts {
  readonly info: LtxFileInfo;
  readonly header: LtxHeader;
  /** Its beginning. */
  readonly head: Uint8Array;
  /** The end of its page index. */
  readonly indexTail: Uint8Array;
  /** Where the index lies, in bytes. */
  readonly offset: number;
  readonly length: number;
}

/** Keeps what is known of a long page index: the entries of the first pages, whose frames came along, and the last. */
function openLazily(parts: FileParts, options: OpenLtxFileOptions): LtxFile {
  const { info, header, offset, length } = parts;
  const tail = parts.indexTail.subarray(-LAZY_TAIL_BYTES);
  const start = length - tail.length;
  const last = readIndexWindow(tail, { start, isAligned: false, isEnd: true });
  if (!last) return refuse("its page index ends with no whole entry");
  checkEnd(last.offsets[last.pgnos.length], offset);
  const first = firstEntries(parts);
  const take = frameTaker(parts, options);
  for (const [entry, pgno] of first.pgnos.entries()) {
    const [offset, end] = [first.offsets[entry], first.offsets[entry + 1]];
    take(pgno, offset, parts.head.subarray(offset, end));
  }
  const identity = fileIdentity(info);
  if (first.pgnos.length > 0) options.windows?.add(identity, first);
  options.windows?.add(identity, last);
  const lastPgno = last.pgnos[last.pgnos.length - 1];
  return { info, header, index: undefined, bounds: { offset, length, lastPgno } };
}

/** The index entries of the frames that lie whole in a file's beginning: the frames themselves tell. */
function firstEntries({ head, header }: FileParts): IndexWindow {
  const extent = new PageFrameExtent(header.pageSize);
  const pgnos: number[] = [];
  const offsets = [LTX_HEADER_BYTES];
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  let end = 0;
  // Bounded by the beginning: each frame takes bytes of it.
  for (let offset = LTX_HEADER_BYTES; ;) {
    extent.reset();
    let isWhole = false;
    while (!isWhole && offset + extent.needed <= head.length) {
      isWhole = extent.advance(head, offset);
    }
    if (!isWhole) break;
    const pgno = view.getUint32(offset);
    end += uvarintBytes(pgno) + uvarintBytes(offset) + uvarintBytes(extent.needed);
    offset += extent.needed;
    pgnos.push(pgno);
    offsets.push(offset);
  }
  return { start: 0, end, pgnos: Uint32Array.from(pgnos), offsets: Float64Array.from(offsets) };
}

/** Takes pages into the cache that came along. */
function frameTaker(
  { info, header }: Pick<FileParts, "info" | "header">,
  { cache }: OpenLtxFileOptions,
): FrameVisitor {
  const identity = fileIdentity(info);
  return (pgno, offset, frame) => {
    if (!cache || cache.has(identity, offset)) return;
    cache.set(identity, offset, decodeFrameOf(pgno, frame, header.pageSize));
  };
}

function checkEnd(framesEnd: number, indexOffset: number): void {
  if (framesEnd + PAGE_HEADER_BYTES === indexOffset) return;
  refuse(`its pages end at byte ${framesEnd}, its index begins at ${indexOffset}`);
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
