import type { LtxSummary } from "../../shared/ltx/decoder.ts";
import { encodeLtx } from "../../shared/ltx/encoder.ts";
import type { LtxSource } from "./ltx-from-wal.ts";

/** LTX bytes are handed on in pieces of about so many: one page at a time would cost a turn of the event loop each. */
const PIECE_BYTES = 256 * 1024;

/** The log was begun anew while a full image was being read. */
export class DisturbedError extends Error {
  override readonly name = "DisturbedError";
}

/**
 * The bytes of an LTX file.
 *
 * @param isUndisturbed Asked before the last piece, without which a file never gets its name.
 * @throws {DisturbedError} When the answer was no.
 */
export function* encodeInPieces(
  { header, pages }: LtxSource,
  isUndisturbed: () => boolean = () => true,
): Generator<Uint8Array, LtxSummary> {
  const chunks = encodeLtx(header, pages);
  let piece: Uint8Array[] = [];
  let pieceBytes = 0;
  for (;;) {
    const next = chunks.next();
    if (next.done) {
      if (!isUndisturbed()) throw new DisturbedError();
      yield Buffer.concat(piece, pieceBytes);
      return next.value;
    }
    piece.push(next.value);
    pieceBytes += next.value.length;
    if (pieceBytes < PIECE_BYTES) continue;
    yield Buffer.concat(piece, pieceBytes);
    piece = [];
    pieceBytes = 0;
  }
}

export interface HeldPieces {
  readonly pieces: readonly Uint8Array[];
  readonly summary: LtxSummary;
}

/** Encodes the whole file into memory. */
export function readAll(generator: Generator<Uint8Array, LtxSummary>): HeldPieces {
  const pieces: Uint8Array[] = [];
  for (;;) {
    const next = generator.next();
    if (next.done) return { pieces, summary: next.value };
    pieces.push(next.value);
  }
}

export function* replay({ pieces, summary }: HeldPieces): Generator<Uint8Array, LtxSummary> {
  yield* pieces;
  return summary;
}
