import { availableParallelism } from "node:os";
import type { LtxSummary } from "../../shared/ltx/decoder.ts";
import { encodeBeside } from "./encode-beside.ts";
import { encodeInPieces, type EncodeOptions } from "./ltx-pieces.ts";
import type { LtxSource } from "./ltx-from-wal.ts";

/** An LTX file's bytes, in order. A piece holds until the next is asked for. */
type LtxPieces =
  | Iterator<Uint8Array, LtxSummary>
  | AsyncIterator<Uint8Array, LtxSummary, undefined>;

/** From so many bytes of pages on a thread is worth its start, and the memory that it takes. */
const BESIDE_BYTES_MIN = 64 * 1024 * 1024;
/** One processor is left to what reads, writes and uploads. */
const THREADS_MAX = availableParallelism() - 1;

let threads = 0;

/**
 * The bytes of an LTX file: a large one's are made in a thread of their own, while what calls this reads its
 * pages and writes its pieces.
 *
 * @throws {DisturbedError} By `next`, when the log was begun anew meanwhile.
 */
export function encodePieces(ltx: LtxSource, options: EncodeOptions): LtxPieces {
  const isLarge = ltx.pageCount * ltx.header.pageSize >= BESIDE_BYTES_MIN;
  return isLarge && threads < THREADS_MAX ? counted(ltx, options) : encodeInPieces(ltx, options);
}

async function* counted(ltx: LtxSource, options: EncodeOptions) {
  threads++;
  try {
    return yield* encodeBeside(ltx, options);
  } finally {
    threads--;
  }
}
