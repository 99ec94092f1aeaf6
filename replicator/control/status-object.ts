import { hostname } from "node:os";
import { isReplicaError } from "../../shared/errors.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { formatStatus, statusKey, type Retention } from "../../shared/replica/status-document.ts";
import type { ReplicationState } from "../sync/replication-options.ts";
import { every, type Wait } from "./every.ts";

export interface StatusObjectOptions {
  readonly replica: Replica;
  /** Where the replication stands now. */
  readonly state: () => Pick<ReplicationState, "uploaded">;
  readonly retention: Retention;
  /** Each rewriting costs one request, whether anything is committed or not. */
  readonly intervalMs: number;
  /** The store did not take it; it is tried again after the interval. */
  readonly onFailure?: (message: string) => void;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** By default `host:pid` of this process. */
  readonly writer?: string;
  readonly wait?: Wait;
}

/**
 * Rewrites `eddy/status.json` beside the LTX files once an interval, so that whoever reads the bucket sees
 * that somebody writes it; ends when the result is disposed of.
 */
export function startStatusObject(options: StatusObjectOptions): AsyncDisposable {
  const { onFailure = () => undefined, intervalMs, wait } = options;
  const task = async (signal: AbortSignal) => {
    try {
      await writeStatusObject(options, signal);
    } catch (error) {
      if (!isReplicaError(error)) throw error;
      if (!signal.aborted) onFailure(error.message);
    }
  };
  return every({ intervalMs, task, wait });
}

/** Writes it once. */
async function writeStatusObject(
  {
    replica,
    state,
    retention,
    now = Date.now,
    writer = `${hostname()}:${process.pid}`,
  }: StatusObjectOptions,
  signal: AbortSignal,
): Promise<void> {
  const status = formatStatus({ writer, atMs: now(), txid: state().uploaded, retention });
  await replica.store.put(statusKey(replica), status, { signal });
}
