import type { LtxSummary } from "../../shared/ltx/decoder.ts";
import { encodeLtx } from "../../shared/ltx/encoder.ts";
import type { LtxSource } from "./ltx-from-wal.ts";

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
  const pieces = encodeLtx(header, pages);
  let held: Uint8Array | undefined;
  for (;;) {
    const next = pieces.next();
    if (next.done && !isUndisturbed()) throw new DisturbedError();
    if (held) yield held;
    if (next.done) return next.value;
    held = next.value;
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
