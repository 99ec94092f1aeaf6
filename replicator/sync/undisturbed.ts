import type { SourceDatabase } from "../source/source-database.ts";
import { isSameLog, type WalHeader } from "../wal/wal-header.ts";
import { readWalHeader } from "../wal/wal-reader.ts";

/**
 * Says whether what was read from log and database belongs together: the log was not begun anew since
 * `header` was read, and no other database, which brings a log of its own, has taken the place of this one.
 */
export function isUndisturbedSince(header: WalHeader | undefined, source: SourceDatabase): boolean {
  return isSameLog(header, readWalHeader(source.walPath)) && source.isStillInPlace();
}
