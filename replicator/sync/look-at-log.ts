import { ReplicaError } from "../../shared/errors.ts";
import type { SourceDatabase } from "../source/source-database.ts";
import { isSameLog, type WalHeader } from "../wal/wal-header.ts";
import {
  hasLastTransaction,
  readWalBatch,
  walFrameCount,
  type WalFile,
} from "../wal/wal-reader.ts";
import { decideCapture, type CaptureDecision, type CapturePosition } from "./decide-capture.ts";

/**
 * Holds the log as it is now against the place up to which it was read, and decides what comes next.
 *
 * @throws {ReplicaError} `SOURCE_INVALID` when the log has pages of another size.
 */
export function lookAtLog(
  source: SourceDatabase,
  wal: WalFile | undefined,
  position: CapturePosition,
): CaptureDecision {
  const header = wal?.header();
  if (header) refuseOtherPageSize(source, header);
  return decideCapture({
    position,
    isEndOfLockedLog:
      typeof position === "object" && walFrameCount(position) === source.framesAtLock,
    header,
    hasLastTransaction: () => hasLastTransactionNow(wal, position),
    hasUnreadFrames: () => hasFramesBehind(wal, position),
  });
}

function hasLastTransactionNow(wal: WalFile | undefined, position: CapturePosition): boolean {
  if (!wal || typeof position !== "object") return false;
  // A log that is begun anew at this very moment took nothing back: the next look will see what it is.
  return hasLastTransaction(wal, position) || !isSameLog(position.header, wal.header());
}

function hasFramesBehind(wal: WalFile | undefined, position: CapturePosition): boolean {
  if (!wal || typeof position !== "object") return false;
  return readWalBatch(wal, position, 1) !== undefined;
}

function refuseOtherPageSize(source: SourceDatabase, { pageSize }: WalHeader): void {
  if (pageSize === source.pageSize) return;
  throw new ReplicaError(
    "SOURCE_INVALID",
    `${source.path} has pages of ${pageSize} bytes now, ${source.pageSize} before: LTX files of two page sizes cannot be merged, so replicate to a new path`,
  );
}
