import { ReplicaError, isReplicaError } from "../../shared/errors.ts";

/**
 * Runs `work` with a signal that fires when the client leaves, or when the time is over. It bounds
 * only the waiting: a Worker's clock stands still while it computes.
 *
 * @throws {ReplicaError} `QUERY_TIMEOUT` when the time is over, and whatever `work` throws.
 */
export async function withDeadline<T>(
  client: AbortSignal,
  timeoutMs: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const leave = () => controller.abort(client.reason);
  if (client.aborted) leave();
  client.addEventListener("abort", leave);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    controller.abort();
  }, timeoutMs);
  try {
    return await work(controller.signal);
  } catch (error) {
    if (!isLate || !isReplicaError(error, "ABORTED")) throw error;
    throw new ReplicaError(
      "QUERY_TIMEOUT",
      `the query was still waiting for pages after ${timeoutMs} ms: an index may be missing`,
      { cause: error },
    );
  } finally {
    clearTimeout(timer);
    client.removeEventListener("abort", leave);
  }
}
