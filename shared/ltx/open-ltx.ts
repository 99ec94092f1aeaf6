import { assert } from "../assert.ts";
import { LtxDecoder, type LtxPage, type LtxSummary } from "./decoder.ts";
import type { LtxHeader } from "./header.ts";

/** A file opened for reading: what it says of itself, and its pages as they are taken. */
export interface OpenLtx {
  readonly header: LtxHeader;
  /** Whoever takes the last of them knows that the whole file passed `LtxDecoder`'s checks. */
  readonly pages: Generator<LtxPage, LtxSummary>;
}

/**
 * Opens an LTX file that arrives in pieces, and takes them as far as the header and one page: what a
 * compaction reads its inputs with.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` as `LtxDecoder` does; `pages` throws it for what comes later.
 */
export function openLtx(chunks: Iterable<Uint8Array>): OpenLtx {
  const decoder = new LtxDecoder();
  const rest = decodeChunks(decoder, chunks);
  const first = rest.next();
  const { header } = decoder;
  assert(header, "the header comes before the first page and before the end");
  return { header, pages: resume(first, rest) };
}

function* decodeChunks(
  decoder: LtxDecoder,
  chunks: Iterable<Uint8Array>,
): Generator<LtxPage, LtxSummary> {
  for (const chunk of chunks) yield* decoder.push(chunk);
  return decoder.finish();
}

function* resume(
  first: IteratorResult<LtxPage, LtxSummary>,
  rest: Generator<LtxPage, LtxSummary>,
): Generator<LtxPage, LtxSummary> {
  if (first.done) return first.value;
  yield first.value;
  return yield* rest;
}
