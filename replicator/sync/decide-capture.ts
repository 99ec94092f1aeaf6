import { isSameWal, type WalHeader } from "../wal/wal-header.ts";
import { walStart, type WalPosition } from "../wal/wal-reader.ts";

/**
 * Up to where the log has been read: a place in it, or `no-log` when there was none while the read
 * lock was held. Undefined when that is not known.
 */
export type CapturePosition = WalPosition | "no-log" | undefined;

export interface CaptureState {
  readonly position: CapturePosition;
  /**
   * What was read ends where the log ended when the read lock was taken or moved last. Only then was it
   * all of the log, and nothing but committed transactions, if the log has been begun anew since.
   */
  readonly isEndOfLockedLog: boolean;
  /** The log's header now; undefined when there is no log, or it is being begun at this moment. */
  readonly header: WalHeader | undefined;
  /** Says whether the last transaction before `position` still stands in the log. */
  readonly hasLastTransaction: () => boolean;
  /** Says whether the old log's chain goes on behind `position`: commits that were never read. */
  readonly hasUnreadFrames: () => boolean;
}

export type CaptureDecision =
  | { readonly kind: "nothing" }
  | { readonly kind: "incremental"; readonly from: WalPosition }
  | { readonly kind: "full"; readonly reason: string };

/**
 * The one place that decides whether the next LTX file holds what the log changed or the whole
 * database. Whenever it cannot be shown that no commit was missed, it is the whole database.
 */
export function decideCapture(state: CaptureState): CaptureDecision {
  const { position, header } = state;
  if (position === undefined) {
    return { kind: "full", reason: "nothing shows that no commit was missed" };
  }
  if (!header) return { kind: "nothing" };
  if (position === "no-log") return { kind: "incremental", from: walStart(header) };
  if (isSameWal(header, position.header)) {
    return state.hasLastTransaction()
      ? { kind: "incremental", from: position }
      : { kind: "full", reason: "a commit was taken back after it had been read" };
  }
  if (header.checkpointSequence !== position.header.checkpointSequence + 1) {
    return { kind: "full", reason: "the log was begun anew more than once" };
  }
  if (!state.isEndOfLockedLog || state.hasUnreadFrames()) {
    return { kind: "full", reason: "the log was begun anew before exactly all of it was read" };
  }
  return { kind: "incremental", from: walStart(header) };
}
