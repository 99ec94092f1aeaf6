import { assert } from "../assert.ts";
import { ReplicaError } from "../errors.ts";
import { Crc64 } from "./checksum.ts";
import type { LtxPage, LtxSummary } from "./decoder.ts";
import { encodeHeader, hasNoChecksum, type LtxHeader } from "./header.ts";
import {
  encodePageFrame,
  PAGE_HEADER_BYTES,
  pageFrameBytesMax,
  type PageCodec,
} from "./page-frame.ts";
import { PageIndexWriter } from "./page-index.ts";
import { PageOrder } from "./page-order.ts";
import { PieceBuffer } from "./piece-buffer.ts";
import { encodeTrailer, LTX_TRAILER_BYTES, type LtxTrailer } from "./trailer.ts";

/** So long a part of a file goes out by itself, without being copied. In bytes. */
const WHOLE_PART_BYTES = 16 * 1024;

export interface LtxEncoderOptions {
  /** "block" where nothing is said: what Litestream writes since 0.5.16. */
  readonly codec?: PageCodec | undefined;
  /** Where pieces are put that nobody needs any more, to be filled once more. */
  readonly spare?: Uint8Array[];
}

/**
 * Encodes one LTX file: `page` for each page in ascending order, then `finish`. What is written comes out
 * in pieces, as they fill. Keeps one piece and a few bytes a page, for the index. It writes no checksums
 * of the database, because Litestream refuses to merge files that carry them.
 *
 * Beyond the format's own rules it refuses a snapshot that lacks pages and a database without pages,
 * which such a file cannot express.
 */
export class LtxEncoder {
  readonly header: LtxHeader;
  readonly #codec: PageCodec;
  readonly #order: PageOrder;
  readonly #checksum = new Crc64();
  readonly #index = new PageIndexWriter();
  readonly #pieces: PieceBuffer;
  readonly #frameBytesMax: number;
  #summary: LtxSummary | undefined;

  /** @throws {ReplicaError} `CORRUPT_PAGE` when the database has no pages or the header breaks a rule. */
  constructor(header: LtxHeader, { codec = "block", spare }: LtxEncoderOptions = {}) {
    assert(hasNoChecksum(header), "the encoder writes no checksums of the database");
    if (header.commit === 0) {
      throw new ReplicaError("CORRUPT_PAGE", "a database without pages cannot be an LTX file");
    }
    this.header = header;
    this.#codec = codec;
    this.#pieces = new PieceBuffer(spare);
    this.#order = new PageOrder(header);
    this.#frameBytesMax = pageFrameBytesMax(header.pageSize);
    const bytes = encodeHeader(header);
    this.#checksum.update(bytes);
    this.#append(bytes);
  }

  /** What was written; after `finish`. */
  get summary(): LtxSummary {
    assert(this.#summary, "the summary is known when the file is finished");
    return this.#summary;
  }

  /**
   * Appends one page, whose bytes are not needed any more when this returns.
   *
   * @returns The next piece of the file, when one is full.
   * @throws {ReplicaError} `CORRUPT_PAGE` when the page may not come here or has the wrong size.
   */
  page(pgno: number, data: Uint8Array): Uint8Array | undefined {
    assert(!this.#summary, "pages come before the file is finished");
    if (data.length !== this.header.pageSize) {
      throw new ReplicaError(
        "CORRUPT_PAGE",
        `page ${pgno} has ${data.length} bytes, its file's pages have ${this.header.pageSize}`,
      );
    }
    this.#order.add(pgno);
    const full = this.#pieces.reserve(this.#frameBytesMax);
    const place = { offset: this.#pieces.used, checksum: this.#checksum };
    const size = encodePageFrame({ pgno, page: data }, this.#pieces.bytes, this.#codec, place);
    this.#pieces.advance(size);
    this.#index.append(pgno, size);
    return full;
  }

  /**
   * Ends the file.
   *
   * @returns Its last pieces: of the pages, the index and the trailer.
   * @throws {ReplicaError} `CORRUPT_PAGE` when the file is a snapshot and lacks pages.
   */
  finish(): readonly Uint8Array[] {
    assert(!this.#summary, "a file is finished once");
    this.#order.finish();
    const postApplyChecksum = 0n;
    const parts = [new Uint8Array(PAGE_HEADER_BYTES), ...this.#index.finish()];
    for (const part of parts) this.#checksum.update(part);
    this.#checksum.update(new Uint8Array(LTX_TRAILER_BYTES / 2));
    const trailer: LtxTrailer = { postApplyChecksum, fileChecksum: this.#checksum.checksum() };
    parts.push(encodeTrailer(trailer));
    this.#summary = {
      header: this.header,
      trailer,
      pageCount: this.#index.pageCount,
      sizeBytes: parts.reduce((sum, part) => sum + part.length, this.#index.frameOffset),
    };
    const pieces: (Uint8Array | undefined)[] = [];
    for (const part of parts) {
      // The chunks of a long index are pieces as they are.
      if (part.length < WHOLE_PART_BYTES) pieces.push(this.#append(part));
      else pieces.push(this.#pieces.take(), part);
    }
    return [...pieces, this.#pieces.take()].filter((piece) => piece !== undefined);
  }

  #append(bytes: Uint8Array): Uint8Array | undefined {
    const full = this.#pieces.reserve(bytes.length);
    this.#pieces.bytes.set(bytes, this.#pieces.used);
    this.#pieces.advance(bytes.length);
    return full;
  }
}

/**
 * Encodes a whole LTX file, piece by piece, as the pages are taken from `pages`. Of a page nothing is
 * needed any more when the next is taken.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` as `LtxEncoder` does, and whatever `pages` throws.
 */
export function* encodeLtx(
  header: LtxHeader,
  pages: Iterable<LtxPage>,
  options?: LtxEncoderOptions,
): Generator<Uint8Array, LtxSummary> {
  const encoder = new LtxEncoder(header, options);
  for (const { pgno, data } of pages) {
    const piece = encoder.page(pgno, data);
    if (piece) yield piece;
  }
  yield* encoder.finish();
  return encoder.summary;
}
