import { ReplicaError } from "../../shared/errors.ts";
import type { PrivateStack } from "./build.ts";
import { Connection } from "./connection.ts";
import type { LiveInstance } from "./live-instance.ts";
import type { StatementRequest } from "./query.ts";
import { isOutOfMemory, readSqliteError, type Phase } from "./query-error.ts";
import { RunningQuery } from "./running-query.ts";

const SQLITE_INTERRUPT = 9;

/** One request's hold on an instance: a stack, a connection, and what it may still use. */
export interface Session {
  readonly live: LiveInstance;
  readonly stack: PrivateStack;
  readonly connection: Connection;
  readonly query: RunningQuery;
  readonly request: StatementRequest;
}

/**
 * Does `work` on an instance, whoever else is suspended on it. Whether it ends in order or with an
 * error, its stack and its connection are given back, or the instance is retired.
 *
 * @param moved Called whenever the request has shown that somebody still runs it.
 */
export async function withSession<T>(
  live: LiveInstance,
  request: StatementRequest,
  moved: () => void,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const query = new RunningQuery(request, moved);
  let stack: PrivateStack | undefined;
  let connection: Connection | undefined;
  let isReusable = false;
  live.connectionTaken();
  try {
    stack = live.takeStack();
    connection = live.pool.take(request.sourceKey) ?? (await open(live, request, { stack, query }));
    connection.serve({ faults: query, watch: query, stepsMax: request.limits.vmStepsMax });
    const result = await work({ live, stack, connection, query, request });
    isReusable = true;
    return result;
  } catch (error) {
    if (query.failure !== undefined && !live.isRetired) throw query.failure.error;
    if (!(error instanceof ReplicaError)) throw live.retire(error);
    isReusable = !isOutOfMemory(error) && error.code !== "CORRUPT_PAGE";
    throw error;
  } finally {
    live.giveBack({ connection, isReusable, stack });
  }
}

function open(
  live: LiveInstance,
  { sourceKey }: StatementRequest,
  { stack, query }: { stack: PrivateStack; query: RunningQuery },
): Promise<Connection> {
  const { build, sqlite: instance, heapBytesMax } = live;
  return Connection.open({ build, instance, stack, sourceKey, heapBytesMax, faults: query });
}

/**
 * Says whether SQLite has unwound in order: the error is one of ours, or the one that a page source
 * threw. Anything else has torn through C, and nothing of the instance may be touched.
 */
export function hasUnwound({ live, query }: Session, error: unknown): boolean {
  return !live.isRetired && (error instanceof ReplicaError || query.failure !== undefined);
}

/** Why SQLite has just failed: the page that did not come, what was denied, a budget, or SQLite itself. */
export function explainFailure(
  { live, connection, query, request }: Session,
  phase: Phase,
): unknown {
  const { failure, denied } = query;
  if (failure !== undefined) return failure.error;
  const error = readSqliteError(live.sqlite, connection.db, phase);
  const details = error.details;
  if (denied !== undefined) return new ReplicaError("READ_ONLY", denied, { details });
  if (((details.sqlite_code ?? 0) & 0xff) !== SQLITE_INTERRUPT) return error;
  return new ReplicaError(
    "QUERY_TIMEOUT",
    `the query used ${request.limits.vmStepsMax} steps, which is all it may; an index may be missing`,
    { details },
  );
}
