import { parameterNames } from "./bind-args.ts";
import type { Engine } from "./engine.ts";
import { prepareStatement } from "./prepare-statement.ts";
import type { QueryColumn, StatementRequest } from "./query.ts";
import { type Session, withSession } from "./session.ts";
import { encodeSql, isExplain } from "./sql-text.ts";
import { takeTurn } from "./take-turn.ts";

/** What can be said of a statement without running it. */
export interface StatementDescription {
  /** By position; null for a plain `?`. A name has its prefix, as it is written in the SQL. */
  readonly parameters: readonly (string | null)[];
  readonly columns: readonly QueryColumn[];
  /** False where it would change rows: running it is refused then. */
  readonly isReadOnly: boolean;
  readonly isExplain: boolean;
}

/**
 * Compiles one statement and says what it is. INSERT, UPDATE and DELETE are described as well, which
 * clients do before they are told that they cannot run them; whatever else writes is refused.
 *
 * @throws {ReplicaError} What `runQuery` throws, but for what comes of running it.
 * @throws What the page source throws, unchanged.
 */
export async function describeStatement(
  engine: Engine,
  request: StatementRequest,
): Promise<StatementDescription> {
  const bytes = encodeSql(request.sql);
  return await takeTurn(engine, request, (live, moved) =>
    withSession(live, request, moved, (session) => describe(session, bytes)),
  );
}

async function describe(session: Session, sql: Uint8Array): Promise<StatementDescription> {
  const { connection, query, request, live } = session;
  const { statements } = connection;
  query.isDescribed = true;
  const statement = statements.take(request.sql) ?? (await prepareStatement(session, sql));
  const description = {
    parameters: parameterNames(live.sqlite, statement, request.sql),
    columns: statement.columns,
    isReadOnly: !query.writes,
    isExplain: isExplain(sql),
  };
  // What is kept may be run: never a statement that writes.
  if (query.writes) live.sqlite.finalize(statement.handle);
  else statements.give(request.sql, statement);
  return description;
}
