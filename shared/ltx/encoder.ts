import { assert } from "../assert.ts";
import { ReplicaError } from "../errors.ts";
import { Crc64 } from "./checksum.ts";
import type { LtxPage, LtxSummary } from "./decoder.ts";
import { encodeHeader, hasNoChecksum, type LtxHeader } from "./header.ts";
import {
  encodePageFrame,
  PAGE_HEADER_BYTES,
  pageFrameBytesMax,
  pageFrameHead,
  type PageCodec,
} from "./page-frame.ts";
import { PageIndexWriter } from "./page-index.ts";
import { PageOrder } from "./page-order.ts";
import { encodeTrailer, LTX_TRAILER_BYTES, type LtxTrailer } from "./trailer.ts";

export interface LtxEncoderOptions {
  /** "block" where nothing is said: what Litestream writes since 0.5.16. */
  readonly codec?: PageCodec | undefined;
}

/**
 * Encodes one LTX file, a piece per call: `start`, `page` for each page in ascending order, `finish`.
 * Keeps a few bytes a page, for the index. It writes no checksums of the database, because Litestream
 * refuses to merge files that carry them.
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
  /** Where a frame is encoded before its size is known. */
  readonly #frame: Uint8Array;
  #summary: LtxSummary | undefined;
  #isStarted = false;

  /** @throws {ReplicaError} `CORRUPT_PAGE` when the database has no pages. */
  constructor(header: LtxHeader, { codec = "block" }: LtxEncoderOptions = {}) {
    assert(hasNoChecksum(header), "the encoder writes no checksums of the database");
    if (header.commit === 0) {
      throw new ReplicaError("CORRUPT_PAGE", "a database without pages cannot be an LTX file");
    }
    this.header = header;
    this.#codec = codec;
    this.#order = new PageOrder(header);
    this.#frame = new Uint8Array(pageFrameBytesMax(header.pageSize));
  }

  /** What was written; after `finish`. */
  get summary(): LtxSummary {
    assert(this.#summary, "the summary is known when the file is finished");
    return this.#summary;
  }

  /**
   * Begins the file.
   *
   * @returns The header's bytes.
   * @throws {ReplicaError} `CORRUPT_PAGE` when the header breaks a rule of the format.
   */
  start(): Uint8Array {
    assert(!this.#isStarted, "a file is started once");
    this.#isStarted = true;
    const bytes = encodeHeader(this.header);
    this.#checksum.update(bytes);
    return bytes;
  }

  /**
   * Appends one page.
   *
   * @returns The frame's bytes, fresh.
   * @throws {ReplicaError} `CORRUPT_PAGE` when the page may not come here or has the wrong size.
   */
  page(pgno: number, data: Uint8Array): Uint8Array {
    assert(this.#isStarted && !this.#summary, "pages come between start and finish");
    if (data.length !== this.header.pageSize) {
      throw new ReplicaError(
        "CORRUPT_PAGE",
        `page ${pgno} has ${data.length} bytes, its file's pages have ${this.header.pageSize}`,
      );
    }
    this.#order.add(pgno);
    const size = encodePageFrame({ pgno, page: data }, this.#frame, this.#codec);
    const frame = this.#frame.slice(0, size);
    this.#checksum.update(pageFrameHead(frame)).update(data);
    this.#index.append(pgno, size);
    return frame;
  }

  /**
   * Ends the file.
   *
   * @returns The end of the pages, the index and the trailer, in pieces.
   * @throws {ReplicaError} `CORRUPT_PAGE` when the file is a snapshot and lacks pages.
   */
  finish(): readonly Uint8Array[] {
    assert(this.#isStarted && !this.#summary, "a file is finished once");
    this.#order.finish();
    const chunks = [new Uint8Array(PAGE_HEADER_BYTES), ...this.#index.finish()];
    for (const chunk of chunks) this.#checksum.update(chunk);
    const postApplyChecksum = 0n;
    this.#checksum.update(new Uint8Array(LTX_TRAILER_BYTES / 2));
    const trailer: LtxTrailer = { postApplyChecksum, fileChecksum: this.#checksum.checksum() };
    chunks.push(encodeTrailer(trailer));
    this.#summary = {
      header: this.header,
      trailer,
      pageCount: this.#index.pageCount,
      sizeBytes: chunks.reduce((sum, chunk) => sum + chunk.length, this.#index.frameOffset),
    };
    return chunks;
  }
}

/**
 * Encodes a whole LTX file, piece by piece, as the pages are taken from `pages`.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` as `LtxEncoder` does, and whatever `pages` throws.
 */
export function* encodeLtx(
  header: LtxHeader,
  pages: Iterable<LtxPage>,
  options?: LtxEncoderOptions,
): Generator<Uint8Array, LtxSummary> {
  const encoder = new LtxEncoder(header, options);
  yield encoder.start();
  for (const { pgno, data } of pages) yield encoder.page(pgno, data);
  yield* encoder.finish();
  return encoder.summary;
}
