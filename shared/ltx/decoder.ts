import { assert } from "../assert.ts";
import { ReplicaError } from "../errors.ts";
import { Crc64, formatChecksum, pageChecksum, toChecksum } from "./checksum.ts";
import {
  decodeHeader,
  hasNoChecksum,
  isSnapshot,
  LTX_HEADER_BYTES,
  type LtxHeader,
} from "./header.ts";
import { decodePageFrame, PageFrameExtent } from "./page-frame.ts";
import { PageIndexMatcher, PageIndexWriter } from "./page-index.ts";
import { PageOrder } from "./page-order.ts";
import { checkTrailer, decodeTrailer, LTX_TRAILER_BYTES, type LtxTrailer } from "./trailer.ts";

/** One page of a database, as a file holds it. */
export interface LtxPage {
  readonly pgno: number;
  /** The reader's to keep. */
  readonly data: Uint8Array;
}

/** What is known of an LTX file once all of it was read or written. */
export interface LtxSummary {
  readonly header: LtxHeader;
  readonly trailer: LtxTrailer;
  readonly pageCount: number;
  readonly sizeBytes: number;
}

type Part = "header" | "pages" | "index" | "trailer" | "end";

export interface LtxDecoderOptions {
  /** A page's bytes hold only until the next is taken: saves a buffer for each. */
  readonly reusesPages?: boolean;
}

/**
 * Decodes one LTX file from pieces, cut anywhere. Keeps one page frame and a few bytes a page (for
 * the index), whatever the file's size.
 *
 * It refuses all that the reference decoder refuses, and what that one lets pass: pages out of order
 * or beyond the database's end, a snapshot that lacks pages, blocks that do not fill a page, an index
 * that does not match the frames, bytes after the trailer. Pages come out before the file's checksum
 * is known: they are not to be trusted until `finish` has returned.
 */
export class LtxDecoder {
  #part: Part = "header";
  #header: LtxHeader | undefined;
  #trailer: LtxTrailer | undefined;
  #order: PageOrder | undefined;
  #extent: PageFrameExtent | undefined;
  #matcher: PageIndexMatcher | undefined;
  readonly #checksum = new Crc64();
  readonly #index = new PageIndexWriter();
  /** All pages' checksums by XOR; kept only in a snapshot that carries the database's. */
  #pageChecksums = 0n;
  #sizeBytes = 0;
  #isPushing = false;
  /** The beginning of a part that lies across pieces, and how much of it is there. */
  #gathered = new Uint8Array(LTX_HEADER_BYTES);
  #gatheredBytes = 0;
  readonly #reusesPages: boolean;
  #page: Uint8Array | undefined;

  constructor({ reusesPages = false }: LtxDecoderOptions = {}) {
    this.#reusesPages = reusesPages;
  }

  /** The file's header, once its bytes were pushed and taken. */
  get header(): LtxHeader | undefined {
    return this.#header;
  }

  /** Where the frame of the page that came out last ends, in bytes from the start of the file. */
  get frameEnd(): number {
    return this.#index.frameOffset;
  }

  /**
   * Decodes the next piece of the file. The pages must all be taken before the next piece is pushed,
   * even where none is expected: the work is done while they are.
   *
   * @throws {ReplicaError} `CORRUPT_PAGE`, while the pages are taken, at the first damage.
   */
  push(chunk: Uint8Array): Generator<LtxPage, void> {
    assert(!this.#isPushing, "all pages of a piece are taken before the next is pushed");
    this.#isPushing = true;
    return this.#take(chunk);
  }

  /**
   * Ends the file.
   *
   * @throws {ReplicaError} `CORRUPT_PAGE` when the file has not come to its end.
   */
  finish(): LtxSummary {
    assert(!this.#isPushing, "all pages are taken before the file is finished");
    if (!this.#header || !this.#trailer) {
      const where = this.#part === "header" ? "its header" : `its ${this.#part}`;
      refuse(`it ends after ${this.#sizeBytes} bytes, before the end of ${where}`);
    }
    return {
      header: this.#header,
      trailer: this.#trailer,
      pageCount: this.#index.pageCount,
      sizeBytes: this.#sizeBytes,
    };
  }

  *#take(chunk: Uint8Array): Generator<LtxPage, void> {
    this.#sizeBytes += chunk.length;
    let read = 0;
    // Bounded by the piece: every pass uses bytes of it or learns that the part needs more.
    while (read < chunk.length) {
      if (this.#part === "end") refuse(`${chunk.length - read} bytes follow its trailer`);
      if (this.#part === "index") {
        read += this.#takeIndex(chunk.subarray(read));
        continue;
      }
      const needed = this.#needed();
      let [bytes, start] = [chunk, read];
      if (this.#gatheredBytes > 0 || chunk.length - read < needed) {
        read += this.#gather(chunk, read, needed);
        if (this.#gatheredBytes < needed) break;
        [bytes, start] = [this.#gathered, 0];
      }
      if (!this.#isWhole(bytes, start)) continue;
      const page = this.#takePart(bytes.subarray(start, start + needed));
      if (bytes === chunk) read += needed;
      this.#gatheredBytes = 0;
      if (page) yield page;
    }
    this.#isPushing = false;
  }

  /** How many bytes of the current part tell what it is or how long it is. */
  #needed(): number {
    if (this.#extent) return this.#extent.needed;
    return this.#part === "header" ? LTX_HEADER_BYTES : LTX_TRAILER_BYTES;
  }

  /** Says whether the bytes that were needed are the whole part; if not, more are needed now. */
  #isWhole(bytes: Uint8Array, start: number): boolean {
    if (!this.#extent || isTerminator(bytes, start)) return true;
    return this.#extent.advance(bytes, start);
  }

  /** Copies what is missing of a part, as far as the piece has it; returns how much that was. */
  #gather(chunk: Uint8Array, read: number, needed: number): number {
    if (this.#gathered.length < needed) {
      // Doubled, so that a part that grows bit by bit is not copied each time.
      const larger = new Uint8Array(Math.max(needed, 2 * this.#gathered.length));
      larger.set(this.#gathered.subarray(0, this.#gatheredBytes));
      this.#gathered = larger;
    }
    const piece = chunk.subarray(read, read + needed - this.#gatheredBytes);
    this.#gathered.set(piece, this.#gatheredBytes);
    this.#gatheredBytes += piece.length;
    return piece.length;
  }

  #takePart(bytes: Uint8Array): LtxPage | undefined {
    if (this.#part === "header") return this.#takeHeader(bytes);
    if (this.#part === "trailer") return this.#takeTrailer(bytes);
    return isTerminator(bytes, 0) ? this.#takeTerminator(bytes) : this.#takeFrame(bytes);
  }

  #takeHeader(bytes: Uint8Array): undefined {
    this.#header = decodeHeader(bytes);
    this.#order = new PageOrder(this.#header);
    this.#extent = new PageFrameExtent(this.#header.pageSize);
    this.#checksum.update(bytes);
    this.#part = "pages";
  }

  #takeFrame(frame: Uint8Array): LtxPage {
    assert(this.#header && this.#order && this.#extent, "pages come after the header");
    const { pageSize } = this.#header;
    const { pgno, page: data } = decodePageFrame(
      frame,
      pageSize,
      this.#checksum,
      this.#pageBuffer(pageSize),
    );
    this.#order.add(pgno);
    if (this.#carriesDatabaseChecksum()) this.#pageChecksums ^= pageChecksum(pgno, data);
    this.#index.append(pgno, frame.length);
    this.#extent.reset();
    return { pgno, data };
  }

  /** One for all pages, where each is done with before the next is taken. */
  #pageBuffer(pageSize: number): Uint8Array | undefined {
    if (this.#reusesPages) this.#page ??= new Uint8Array(pageSize);
    return this.#page;
  }

  #takeTerminator(bytes: Uint8Array): undefined {
    if (bytes[4] !== 0 || bytes[5] !== 0) refuse("page number 0 has flags");
    this.#order?.finish();
    this.#checksum.update(bytes);
    this.#extent = undefined;
    this.#matcher = new PageIndexMatcher(this.#index.finish());
    this.#part = "index";
  }

  /** Holds the index and its length against the frames; returns how much of `bytes` that is. */
  #takeIndex(bytes: Uint8Array): number {
    assert(this.#matcher, "the index comes after the pages");
    const matched = this.#matcher.match(bytes);
    this.#checksum.update(bytes.subarray(0, matched));
    if (this.#matcher.isDone) {
      this.#matcher = undefined;
      this.#part = "trailer";
    }
    return matched;
  }

  #takeTrailer(bytes: Uint8Array): undefined {
    assert(this.#header, "the trailer comes after the header");
    const trailer = decodeTrailer(bytes);
    const { fileChecksum, postApplyChecksum } = trailer;
    checkTrailer(trailer, this.#header);
    this.#checksum.update(bytes.subarray(0, LTX_TRAILER_BYTES / 2));
    refuseUnlessEqual("the file's checksum", fileChecksum, this.#checksum.checksum());
    if (this.#carriesDatabaseChecksum()) {
      const databaseChecksum = toChecksum(this.#pageChecksums);
      refuseUnlessEqual("the database's checksum", postApplyChecksum, databaseChecksum);
    }
    this.#trailer = trailer;
    this.#part = "end";
  }

  #carriesDatabaseChecksum(): boolean {
    return !!this.#header && isSnapshot(this.#header) && !hasNoChecksum(this.#header);
  }
}

/** Decodes a whole LTX file that is in memory, with all of `LtxDecoder`'s checks. */
export function decodeLtx(bytes: Uint8Array): LtxSummary & { readonly pages: readonly LtxPage[] } {
  const decoder = new LtxDecoder();
  const pages = [...decoder.push(bytes)];
  return { ...decoder.finish(), pages };
}

/** Six bytes of a page header that ends the pages: page number 0. */
function isTerminator(bytes: Uint8Array, start: number): boolean {
  return (bytes[start] | bytes[start + 1] | bytes[start + 2] | bytes[start + 3]) === 0;
}

function refuseUnlessEqual(what: string, stored: bigint, computed: bigint): void {
  if (stored === computed) return;
  refuse(`${what} is ${formatChecksum(stored)}, its content gives ${formatChecksum(computed)}`);
}

function refuse(what: string): never {
  throw new ReplicaError("CORRUPT_PAGE", `the LTX file is damaged: ${what}`);
}
