import type { LtxSummary } from "../../shared/ltx/decoder.ts";
import { encodeLtx } from "../../shared/ltx/encoder.ts";
import type { PageCodec } from "../../shared/ltx/page-frame.ts";
import type { LtxSource } from "./ltx-from-wal.ts";

/** The log was begun anew while a full image was being read. */
export class DisturbedError extends Error {
  override readonly name = "DisturbedError";
}

export interface EncodeOptions {
  /** Asked before the last piece, without which a file never gets its name. */
  readonly isUndisturbed?: (() => boolean) | undefined;
  /** How pages are compressed; blocks by default. */
  readonly codec?: PageCodec | undefined;
}

/**
 * The bytes of an LTX file.
 *
 * @throws {DisturbedError} When the answer was no.
 */
export function* encodeInPieces(
  { header, pages }: LtxSource,
  { isUndisturbed = () => true, codec }: EncodeOptions = {},
): Generator<Uint8Array, LtxSummary> {
  const pieces = encodeLtx(header, pages, { codec });
  let held: Uint8Array | undefined;
  for (;;) {
    const next = pieces.next();
    if (next.done && !isUndisturbed()) throw new DisturbedError();
    if (held) yield held;
    if (next.done) return next.value;
    held = next.value;
  }
}

/** The same file with its pages in memory: nothing is read any more when it is encoded. */
export function holdPages(ltx: LtxSource): LtxSource {
  return {
    ...ltx,
    pages: Array.from(ltx.pages, ({ pgno, data }) => ({ pgno, data: data.slice() })),
  };
}
