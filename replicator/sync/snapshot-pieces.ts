import type { PageCodec } from "../../shared/ltx/page-frame.ts";
import type { LtxSummary } from "../../shared/ltx/decoder.ts";
import type { SourceDatabase } from "../source/source-database.ts";
import {
  hasLastTransaction,
  readWalBatch,
  WalFile,
  walFrameCount,
  walStart,
  type WalBatch,
  type WalPosition,
} from "../wal/wal-reader.ts";
import { snapshotLtx, type SnapshotPoint } from "./ltx-from-wal.ts";
import { DisturbedError, encodeInPieces } from "./ltx-pieces.ts";
import { tellReading, type ProgressEvent } from "./progress.ts";
import { isUndisturbedSince } from "./undisturbed.ts";

export interface SnapshotPiecesOptions {
  readonly point: SnapshotPoint;
  readonly position: WalPosition | "no-log";
  readonly codec: PageCodec | undefined;
  readonly onProgress: (event: ProgressEvent) => void;
}

/**
 * The bytes of a snapshot of the database at `point`, up to which the log has been captured:
 * `position`. The read lock must neither move nor be given up until the last piece is taken.
 *
 * @throws {DisturbedError} When the log was begun anew meanwhile, or does not reach back to `position`.
 */
export function* snapshotPieces(
  source: SourceDatabase,
  { point, position, codec, onProgress }: SnapshotPiecesOptions,
): Generator<Uint8Array, LtxSummary> {
  if (position === "no-log") {
    return yield* encodeInPieces(snapshotOf(undefined, undefined), { codec });
  }
  const { header, offset } = position;
  using wal = WalFile.open(source.walPath);
  const start = walStart(header);
  let batch: WalBatch | undefined;
  if (wal && walFrameCount(position) > 0) {
    batch = readWalBatch(wal, start, offset - start.offset);
    if (batch?.end.offset !== offset) throw new DisturbedError();
  }
  // Nor may the last commit have been taken back, over which the next is written.
  const isUndisturbed = () =>
    isUndisturbedSince(header, source) && (!wal || hasLastTransaction(wal, position));
  return yield* encodeInPieces(snapshotOf(batch, wal), { isUndisturbed, codec });

  function snapshotOf(pages: WalBatch | undefined, log: WalFile | undefined) {
    const ltx = snapshotLtx(point, pages, { source, wal: log });
    return tellReading(ltx, "snapshot", onProgress);
  }
}
