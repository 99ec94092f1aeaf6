import { bindArgs } from "./bind-args.ts";
import type { LiveInstance } from "./live-instance.ts";
import { prepareStatement } from "./prepare-statement.ts";
import type { QueryRequest, QueryResult } from "./query.ts";
import { ResultRows } from "./result-rows.ts";
import { explainFailure, hasUnwound, type Session, withSession } from "./session.ts";
import { encodeSql } from "./sql-text.ts";
import type { PreparedStatement } from "./statement-cache.ts";
import type { SqlArgs, SqlValue } from "./values.ts";

const SQLITE_ROW = 100;
const SQLITE_DONE = 101;

/** Rows after which SQLite is left and entered again. */
const BATCH_ROWS = 256;

/**
 * Runs one statement on an instance, whoever else is suspended on it. Whether it ends with rows or an
 * error, its stack and its connection are given back, or the instance is retired.
 *
 * @param moved Called whenever the query has shown that somebody still runs it.
 */
export async function executeQuery(
  live: LiveInstance,
  request: QueryRequest,
  moved: () => void,
): Promise<QueryResult> {
  const bytes = encodeSql(request.sql);
  return await withSession(live, request, moved, async (session) => {
    const { statements } = session.connection;
    const known = statements.take(request.sql);
    const statement = known ?? (await prepareStatement(session, bytes));
    if (!statement.deterministic) session.query.deterministic = false;
    try {
      const result = await run(session, statement, request.args);
      statements.give(request.sql, statement);
      return result;
    } catch (error) {
      if (hasUnwound(session, error)) live.sqlite.finalize(statement.handle);
      throw error;
    }
  });
}

async function run(
  session: Session,
  statement: PreparedStatement,
  args: SqlArgs,
): Promise<QueryResult> {
  const { live, connection, query } = session;
  bindArgs(live.sqlite, statement, args);
  query.source.expectScans?.(statement.scans);
  query.isRunning = true;
  const { rows, truncated } = await step(session, statement);
  // PRAGMA integrity_check makes rows of pages that it cannot read: they say nothing of the database.
  if (query.failure !== undefined) throw query.failure.error;
  const vmSteps = live.sqlite.stepsUsed(connection.db);
  const { columns } = statement;
  return { columns, rows, truncated, deterministic: query.deterministic, vmSteps };
}

async function step(session: Session, { handle, columns }: PreparedStatement): Promise<ResultRows> {
  const { live, stack, request } = session;
  const { sqlite } = live;
  const result = new ResultRows(request.limits);
  let batchRows = 0;
  const onRow = (): boolean => {
    if (!result.hasRoom()) return true;
    const row: SqlValue[] = [];
    for (let index = 0; index < columns.length; index++) {
      const value = sqlite.columnValue(handle, index);
      if (!result.holds(value)) return true;
      row.push(value);
    }
    result.rows.push(row);
    return ++batchRows >= BATCH_ROWS;
  };
  // Bounded by the VM steps: each row takes some.
  for (let code = SQLITE_ROW; code === SQLITE_ROW && !result.isFull;) {
    batchRows = 0;
    code = await sqlite.step(stack, handle, onRow);
    live.throwIfRetired();
    if (code !== SQLITE_ROW && code !== SQLITE_DONE) throw explainFailure(session, "step");
  }
  if (result.error !== undefined) throw result.error;
  return result;
}
