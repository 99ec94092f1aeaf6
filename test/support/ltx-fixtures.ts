/**
 * LTX files for tests: sound ones through the encoder, doctored ones piece by piece, with checksums
 * that fit, so that a refusal comes from the check that is meant.
 */
import { Crc64 } from "../../shared/ltx/checksum.ts";
import { encodeLtx } from "../../shared/ltx/encoder.ts";
import { encodeHeader, HEADER_FLAG_NO_CHECKSUM, type LtxHeader } from "../../shared/ltx/header.ts";
import {
  encodePageFrame,
  type PageCodec,
  pageFrameBytesMax,
  pageFrameHead,
} from "../../shared/ltx/page-frame.ts";
import { encodeTrailer } from "../../shared/ltx/trailer.ts";
import { toTxid } from "../../shared/ltx/txid.ts";
import { writeUvarint } from "../../shared/ltx/varint.ts";
import golden from "../golden/ltx-vectors.json" with { type: "json" };

/** Files that the reference implementation wrote, by their names in the contract. */
export const GOLDEN = golden.vectors;

export type GoldenName = keyof typeof GOLDEN;

/** Milliseconds since the Unix epoch of files that say nothing else. */
const FIXTURE_TIMESTAMP_MS = 1_700_000_000_123;

export function bytesFromHex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function concatBytes(chunks: Iterable<Uint8Array>): Uint8Array {
  const pieces = [...chunks];
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const piece of pieces) {
    whole.set(piece, offset);
    offset += piece.length;
  }
  return whole;
}

/** Whether two arrays hold the same bytes; `toEqual` takes a second for a few megabytes. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** A copy of `bytes` with `values` at `offset`. */
export function patched(bytes: Uint8Array, offset: number, ...values: number[]): Uint8Array {
  const copy = bytes.slice();
  copy.set(values, offset);
  return copy;
}

/** The pages of the golden files: byte i is seed + floor(i / 64). */
export function steppedPage(seed: number, pageSize = 512): Uint8Array {
  return Uint8Array.from({ length: pageSize }, (_, i) => seed + (i >> 6));
}

export function goldenFile(name: GoldenName): Uint8Array {
  return bytesFromHex(GOLDEN[name].hex);
}

/** Pages by number, as the vectors' description gives them. */
export function goldenPages(name: GoldenName): Map<number, Uint8Array> {
  const pages = Object.entries<string>(GOLDEN[name].pages);
  return new Map(pages.map(([pgno, p]) => [Number(pgno), steppedPage(Number(`0x${p.slice(1)}`))]));
}

export const PAGE_KINDS = ["zeros", "noise", "words", "half noise", "short period"] as const;

export type PageKind = (typeof PAGE_KINDS)[number];

/** A page with content of one kind; the same `seed` gives the same bytes. */
export function samplePage(kind: PageKind, seed: number, pageSize: number): Uint8Array {
  const page = new Uint8Array(pageSize);
  let state = seed | 1;
  const random = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 8;
  };
  const period = 1 + (random() % 9);
  const words = Array.from({ length: 32 }, () => Array.from({ length: 6 }, () => random() % 26));
  for (let i = 0; i < pageSize; i++) {
    if (kind === "noise" || (kind === "half noise" && i < pageSize / 2)) page[i] = random();
    if (kind === "short period") page[i] = (seed + (i % period)) & 0xff;
    if (kind === "words" && i % 7 === 0) {
      const word = words[random() % words.length];
      for (let j = 0; j < 6 && i + j < pageSize; j++) page[i + j] = 97 + word[j];
    }
  }
  return page;
}

export interface HeaderFixture extends Partial<Omit<LtxHeader, "minTxid" | "maxTxid">> {
  readonly minTxid?: number;
  readonly maxTxid?: number;
}

/** A header like those that Litestream writes on levels above 0; one transaction if nothing is said. */
export function ltxHeader({ minTxid = 1, maxTxid = minTxid, ...rest }: HeaderFixture): LtxHeader {
  return {
    flags: HEADER_FLAG_NO_CHECKSUM,
    pageSize: 512,
    commit: 1,
    timestampMs: FIXTURE_TIMESTAMP_MS,
    preApplyChecksum: 0n,
    walOffset: 0,
    walSize: 0,
    walSalt1: 0,
    walSalt2: 0,
    nodeId: 0n,
    ...rest,
    minTxid: toTxid(BigInt(minTxid)),
    maxTxid: toTxid(BigInt(maxTxid)),
  };
}

export interface LtxFixture extends HeaderFixture {
  /** By page number: the bytes, or the seed of a stepped page. */
  readonly pages: Readonly<Record<number, Uint8Array | number>>;
  readonly codec?: PageCodec;
}

/** A sound LTX file. */
export function ltxFile({ pages, codec, ...fixture }: LtxFixture): Uint8Array {
  const header = ltxHeader(fixture);
  const list = Object.entries(pages).map(([pgno, page]) => ({
    pgno: Number(pgno),
    data: typeof page === "number" ? steppedPage(page, header.pageSize) : page,
  }));
  return concatBytes(encodeLtx(header, list, { codec }));
}

/** A page frame beside the page that the file's checksum covers in its place. */
export interface RawFrame {
  readonly pgno: number;
  readonly bytes: Uint8Array;
  readonly page: Uint8Array;
}

export function rawFrame(pgno: number, page: Uint8Array, codec: PageCodec = "block"): RawFrame {
  const target = new Uint8Array(pageFrameBytesMax(page.length));
  return { pgno, bytes: target.slice(0, encodePageFrame({ pgno, page }, target, codec)), page };
}

export interface RawLtx {
  readonly header: LtxHeader;
  readonly frames: readonly RawFrame[];
  /** Instead of the six zero bytes. */
  readonly terminator?: Uint8Array;
  /** Instead of the index that the frames call for, with its closing zero. */
  readonly index?: Uint8Array;
  /** Instead of the index's length. */
  readonly indexLength?: number;
  readonly postApplyChecksum?: bigint;
}

/** An LTX file of any parts, however wrong; its checksum is right. */
export function assembleLtx(raw: RawLtx): Uint8Array {
  const { header, frames, postApplyChecksum = 0n } = raw;
  const { terminator = new Uint8Array(6), index = indexOf(frames) } = raw;
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(raw.indexLength ?? index.length));
  const head = encodeHeader(header);
  const checksum = new Crc64().update(head);
  for (const { bytes, page } of frames) checksum.update(pageFrameHead(bytes)).update(page);
  checksum.update(terminator).update(index).update(length);
  const postApply = new Uint8Array(8);
  new DataView(postApply.buffer).setBigUint64(0, postApplyChecksum);
  const fileChecksum = checksum.update(postApply).checksum();
  const trailer = encodeTrailer({ postApplyChecksum, fileChecksum });
  const bodies = frames.map(({ bytes }) => bytes);
  return concatBytes([head, ...bodies, terminator, index, length, trailer]);
}

function indexOf(frames: readonly RawFrame[]): Uint8Array {
  let offset = 100;
  const entries = frames.map(({ pgno, bytes }) => {
    const entry: [number, number, number] = [pgno, offset, bytes.length];
    offset += bytes.length;
    return entry;
  });
  return indexBlock(entries);
}

/** A page index of any entries `(pgno, offset, size)`, closed by its zero byte. */
export function indexBlock(entries: readonly (readonly [number, number, number])[]): Uint8Array {
  const block = new Uint8Array(24 * entries.length + 1);
  let end = 0;
  for (const value of entries.flat()) end = writeUvarint(block, end, value);
  return block.slice(0, end + 1);
}
