import type { Engine } from "./engine.ts";
import { executeQuery } from "./execute-query.ts";
import { checkSource } from "./lazy-file.ts";
import type { QueryRequest, QueryResult } from "./query.ts";
import { isOutOfMemory } from "./query-error.ts";

export type { QueryLimits, QueryRequest, QueryResult } from "./query.ts";

/**
 * Runs one read-only statement. Several may run at a time; whoever waits for a turn waits on a timer
 * of its own. The caller keeps the promise alive after its client has left (`ctx.waitUntil`), so that
 * `signal` can end the query and free what it holds.
 *
 * @throws {ReplicaError} `SQL_PARSE`, `MANY_STATEMENTS`, `ARGS_MISMATCH`, `READ_ONLY`, `SQLITE_ERROR`,
 *   `UNSUPPORTED_MODULE`, `RESULT_TOO_LARGE`, `FAULT_BUDGET`, `QUERY_TIMEOUT`, `OVERLOADED`,
 *   `ENGINE_FAILED`, `CORRUPT_PAGE`, `ABORTED`.
 * @throws What the page source throws, unchanged.
 */
export async function runQuery(engine: Engine, request: QueryRequest): Promise<QueryResult> {
  const { admission } = engine;
  checkSource(request.source);
  const ticket = await admission.enter(request.signal);
  const moved = (): void => {
    admission.moved(ticket);
  };
  try {
    const { live } = engine;
    try {
      return await executeQuery(live, request, moved);
    } catch (error) {
      if (!isOutOfMemory(error)) throw error;
      // The heap is everybody's: once more without the idle connections and, if it can be, alone.
      await admission.waitUntilAlone(ticket, request.signal);
      if (!live.isRetired) live.pool.closeAll();
      return await executeQuery(engine.live, request, moved);
    }
  } finally {
    admission.leave(ticket);
  }
}
