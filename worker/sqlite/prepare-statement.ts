import { isReplicaError, ReplicaError } from "../../shared/errors.ts";
import { countParameters } from "./bind-args.ts";
import type { StatementHandle } from "./build.ts";
import type { QueryColumn } from "./query.ts";
import { explainScans } from "./explain-scans.ts";
import { explainFailure, type Session } from "./session.ts";
import { encodeSql, findNextStatement } from "./sql-text.ts";
import type { PreparedStatement } from "./statement-cache.ts";
import { nameUnsupportedTables, VIRTUAL_TABLES_SQL } from "./unsupported-module.ts";
import type { SqlValue } from "./values.ts";

/**
 * Compiles the one statement of a text.
 *
 * @throws {ReplicaError} `SQL_PARSE`, `MANY_STATEMENTS`, `READ_ONLY`, `SQLITE_ERROR`,
 *   `UNSUPPORTED_MODULE`, and what ends the request while pages of the schema are fetched.
 */
export async function prepareStatement(
  session: Session,
  sql: Uint8Array,
): Promise<PreparedStatement> {
  const handle = await compile(session, sql);
  const { sqlite } = session.live;
  return {
    handle,
    columns: columnsOf(session, handle),
    parameterCount: countParameters(sqlite, handle),
    deterministic: session.query.deterministic,
    scans: await explainScans(session, sql),
  };
}

async function compile(session: Session, sql: Uint8Array): Promise<StatementHandle> {
  const { live, stack, connection } = session;
  const { sqlite } = live;
  const prepared = await sqlite.prepare(stack, connection.db, sql);
  live.throwIfRetired();
  if (prepared.code !== 0) throw await nameTables(session, explainFailure(session, "prepare"));
  if (prepared.statement === undefined) {
    throw new ReplicaError("SQL_PARSE", "the text holds no statement");
  }
  const position = findNextStatement(sql, prepared.usedBytes);
  if (position < 0) return prepared.statement;
  sqlite.finalize(prepared.statement);
  throw new ReplicaError(
    "MANY_STATEMENTS",
    "the text holds more than one statement; a query is one, send the others by themselves",
    { details: { position } },
  );
}

/** SQLite names the module that is missing, and not the table that needs it. */
async function nameTables(session: Session, error: unknown): Promise<unknown> {
  if (!isReplicaError(error, "UNSUPPORTED_MODULE")) return error;
  const { live, stack, connection, request } = session;
  const { sqlite } = live;
  const { statement } = await sqlite.prepare(stack, connection.db, encodeSql(VIRTUAL_TABLES_SQL));
  live.throwIfRetired();
  if (statement === undefined) return error;
  const tables: SqlValue[][] = [];
  await sqlite.step(stack, statement, () => {
    tables.push([sqlite.columnValue(statement, 0), sqlite.columnValue(statement, 1)]);
    return false;
  });
  live.throwIfRetired();
  sqlite.finalize(statement);
  return nameUnsupportedTables(error, request.sql, tables);
}

function columnsOf({ live }: Session, statement: StatementHandle): QueryColumn[] {
  const { sqlite } = live;
  return Array.from({ length: sqlite.columnCount(statement) }, (_, index) => ({
    name: sqlite.columnName(statement, index),
    decltype: sqlite.columnDecltype(statement, index),
  }));
}
