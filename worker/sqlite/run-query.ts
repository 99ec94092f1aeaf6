import type { Engine } from "./engine.ts";
import { executeQuery } from "./execute-query.ts";
import type { QueryRequest, QueryResult } from "./query.ts";
import { takeTurn } from "./take-turn.ts";

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
  return await takeTurn(engine, request, (live, moved) => executeQuery(live, request, moved));
}
