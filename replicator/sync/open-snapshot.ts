import { ReplicaError } from "../../shared/errors.ts";
import type { LtxSummary } from "../../shared/ltx/decoder.ts";
import type { OpenSnapshot } from "../compaction/write-snapshot.ts";
import type { Checkpoints } from "./checkpoint.ts";
import { DisturbedError } from "./ltx-pieces.ts";
import type { WalCapture } from "./wal-capture.ts";

export interface SnapshotParts {
  readonly checkpoints: Checkpoints;
  readonly capture: WalCapture;
  /** Has all in the store that is committed when it is called. */
  readonly ship: (signal: AbortSignal) => Promise<unknown>;
}

/**
 * Opens the database at the newest TXID under the read lock alone: the application goes on writing, and
 * what it writes goes on to be captured. The log is not checkpointed until the result is disposed of.
 *
 * @throws {ReplicaError} `LOCAL_FILE` when it cannot be read at this moment, here or by a piece.
 */
export async function openSnapshot(
  { checkpoints, capture, ship }: SnapshotParts,
  signal: AbortSignal,
): Promise<OpenSnapshot> {
  // First: while the store does not answer, nothing is to keep the log from being checkpointed.
  await ship(signal);
  const suspension = await checkpoints.suspend();
  try {
    const snapshot = capture.snapshot();
    if (!snapshot) throw unreadable("what its log holds is not captured yet");
    const { txid, pieces } = snapshot;
    return {
      txid,
      pieces: undisturbed(pieces),
      [Symbol.dispose]: () => suspension[Symbol.dispose](),
    };
  } catch (error) {
    suspension[Symbol.dispose]();
    throw error;
  }
}

function* undisturbed(
  pieces: Generator<Uint8Array, LtxSummary>,
): Generator<Uint8Array, LtxSummary> {
  try {
    return yield* pieces;
  } catch (error) {
    if (!(error instanceof DisturbedError)) throw error;
    throw unreadable("its log was begun anew meanwhile");
  }
}

function unreadable(reason: string): ReplicaError {
  return new ReplicaError(
    "LOCAL_FILE",
    `the database cannot be read whole at this moment: ${reason}`,
  );
}
