import { ReplicaError } from "../../shared/errors.ts";
import type { SourceDatabase } from "../source/source-database.ts";
import { isSameLog, isSameWal, WAL_HEADER_BYTES, type WalHeader } from "../wal/wal-header.ts";
import {
  hasLastTransaction,
  readWalBatch,
  walFrameCount,
  type WalFile,
  type WalPosition,
} from "../wal/wal-reader.ts";
import { decideCapture, type CaptureDecision, type CapturePosition } from "./decide-capture.ts";

/**
 * Holds the log as it is now against the place up to which it was read, and decides what comes next.
 *
 * @throws {ReplicaError} `SOURCE_INVALID` when the log has pages of another size, or somebody deleted it
 *   or cut it off while the application writes to it.
 */
export function lookAtLog(
  source: SourceDatabase,
  wal: WalFile | undefined,
  position: CapturePosition,
): CaptureDecision {
  const header = wal?.header();
  refuseForeignHand(source, wal, position);
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

/**
 * What SQLite itself does to a log never shows like this: it deletes none that we have open, and writes a
 * header before all frames. Waiting would ship nothing for ever, in silence.
 */
function refuseForeignHand(
  source: SourceDatabase,
  wal: WalFile | undefined,
  position: CapturePosition,
): void {
  if (!source.isLogInPlace()) {
    // Another database brings another log.
    source.expectInPlace();
    throw new ReplicaError(
      "SOURCE_INVALID",
      `${source.walPath} was deleted or replaced while it was in use, so that new commits go to a file without a name: stop the application, whose last close brings them into the database, then start the replicator again`,
    );
  }
  if (wal && typeof position === "object" && isCutOff(wal, position)) refuseCutOff(source);
}

function refuseCutOff(source: SourceDatabase): never {
  throw new ReplicaError(
    "SOURCE_INVALID",
    `${source.walPath} was cut off by another process while the application wrote to it, and commits may be lost: stop the application, run \`PRAGMA integrity_check\` on the database, then start the replicator again`,
  );
}

/**
 * To be called where nothing is to be read behind `position`: holds that against what SQLite says.
 *
 * @throws {ReplicaError} `SOURCE_INVALID` when it counts commits there that the file does not hold.
 */
export function refuseUnreadable(
  source: SourceDatabase,
  wal: WalFile,
  position: WalPosition,
): void {
  if (source.committedFrames() <= walFrameCount(position)) return;
  // Committed since it was looked for, or in a log that was begun anew since: the next look finds it.
  if (readWalBatch(wal, position, 1) || !isSameLog(position.header, wal.header())) return;
  refuseCutOff(source);
}

function isCutOff(wal: WalFile, position: WalPosition): boolean {
  const sizeBytes = wal.sizeBytes();
  // Read after the size: a log that was begun anew in between is no longer the same.
  const header = wal.header();
  // And once more: it may have been written at this very moment.
  if (!header) return sizeBytes > WAL_HEADER_BYTES && !wal.header();
  return sizeBytes < position.offset && isSameWal(header, position.header);
}

function refuseOtherPageSize(source: SourceDatabase, { pageSize }: WalHeader): void {
  if (pageSize === source.pageSize) return;
  throw new ReplicaError(
    "SOURCE_INVALID",
    `${source.path} has pages of ${pageSize} bytes now, ${source.pageSize} before: LTX files of two page sizes cannot be merged, so replicate to a new path`,
  );
}
