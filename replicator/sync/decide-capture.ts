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
   * All that was in the log when the read lock was taken has been read. Until then the log may be begun
   * anew over commits that nobody has read.
   */
  readonly isCaughtUp: boolean;
  /** The log's header now; undefined when there is no log, or it is being begun at this moment. */
  readonly header: WalHeader | undefined;
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
  if (isSameWal(header, position.header)) return { kind: "incremental", from: position };
  if (!state.isCaughtUp) {
    return { kind: "full", reason: "the log was begun anew while it was caught up with" };
  }
  if (header.checkpointSequence !== position.header.checkpointSequence + 1) {
    return { kind: "full", reason: "the log was begun anew more than once" };
  }
  if (state.hasUnreadFrames()) {
    return { kind: "full", reason: "the log was begun anew before all of it was read" };
  }
  return { kind: "incremental", from: walStart(header) };
}
