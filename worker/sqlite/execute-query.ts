import { isReplicaError, ReplicaError } from "../../shared/errors.ts";
import { bindArgs } from "./bind-args.ts";
import type { PrivateStack, StatementHandle } from "./build.ts";
import { Connection } from "./connection.ts";
import type { LiveInstance } from "./live-instance.ts";
import { isOutOfMemory, readSqliteError, type Phase } from "./query-error.ts";
import type { QueryColumn, QueryRequest, QueryResult } from "./query.ts";
import { ResultRows } from "./result-rows.ts";
import { RunningQuery } from "./running-query.ts";
import { encodeSql, findNextStatement } from "./sql-text.ts";
import { nameUnsupportedTables, VIRTUAL_TABLES_SQL } from "./unsupported-module.ts";
import type { SqlValue } from "./values.ts";

const SQLITE_INTERRUPT = 9;
const SQLITE_ROW = 100;
const SQLITE_DONE = 101;

/** Rows after which SQLite is left and entered again. */
const BATCH_ROWS = 256;

/** One query on one connection and one stack. */
class Execution {
  readonly #live: LiveInstance;
  readonly #stack: PrivateStack;
  readonly #connection: Connection;
  readonly #query: RunningQuery;
  readonly #request: QueryRequest;

  constructor(
    live: LiveInstance,
    request: QueryRequest,
    on: { stack: PrivateStack; connection: Connection; query: RunningQuery },
  ) {
    this.#live = live;
    this.#request = request;
    this.#stack = on.stack;
    this.#connection = on.connection;
    this.#query = on.query;
  }

  async run(sql: Uint8Array): Promise<QueryResult> {
    const statement = await this.#prepare(sql);
    try {
      bindArgs(this.#live.sqlite, statement, this.#request.args);
      const columns = this.#columns(statement);
      this.#query.isRunning = true;
      const { rows, truncated } = await this.#step(statement, columns.length);
      // PRAGMA integrity_check makes rows of pages that it cannot read: they say nothing of the database.
      if (this.#query.failure !== undefined) throw this.#query.failure.error;
      const vmSteps = this.#live.sqlite.stepsUsed(this.#connection.db);
      return { columns, rows, truncated, deterministic: this.#query.deterministic, vmSteps };
    } finally {
      if (!this.#live.isRetired) this.#live.sqlite.finalize(statement);
    }
  }

  async #prepare(sql: Uint8Array): Promise<StatementHandle> {
    const { sqlite } = this.#live;
    const prepared = await sqlite.prepare(this.#stack, this.#connection.db, sql);
    this.#live.throwIfRetired();
    if (prepared.code !== 0) throw await this.#nameTables(this.#explain("prepare"));
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
  async #nameTables(error: unknown): Promise<unknown> {
    if (!isReplicaError(error, "UNSUPPORTED_MODULE")) return error;
    const { sqlite } = this.#live;
    const sql = encodeSql(VIRTUAL_TABLES_SQL);
    const { statement } = await sqlite.prepare(this.#stack, this.#connection.db, sql);
    this.#live.throwIfRetired();
    if (statement === undefined) return error;
    const tables: SqlValue[][] = [];
    await sqlite.step(this.#stack, statement, () => {
      tables.push([sqlite.columnValue(statement, 0), sqlite.columnValue(statement, 1)]);
      return false;
    });
    this.#live.throwIfRetired();
    sqlite.finalize(statement);
    return nameUnsupportedTables(error, this.#request.sql, tables);
  }

  #columns(statement: StatementHandle): QueryColumn[] {
    const { sqlite } = this.#live;
    return Array.from({ length: sqlite.columnCount(statement) }, (_, index) => ({
      name: sqlite.columnName(statement, index),
      decltype: sqlite.columnDecltype(statement, index),
    }));
  }

  async #step(statement: StatementHandle, columnCount: number): Promise<ResultRows> {
    const { sqlite } = this.#live;
    const result = new ResultRows(this.#request.limits);
    let batchRows = 0;
    const onRow = (): boolean => {
      const row: SqlValue[] = [];
      for (let index = 0; index < columnCount; index++) {
        row.push(sqlite.columnValue(statement, index));
      }
      result.add(row);
      return result.isFull || ++batchRows >= BATCH_ROWS;
    };
    // Bounded by the VM steps: each row takes some.
    for (let code = SQLITE_ROW; code === SQLITE_ROW && !result.isFull;) {
      batchRows = 0;
      code = await sqlite.step(this.#stack, statement, onRow);
      this.#live.throwIfRetired();
      if (code !== SQLITE_ROW && code !== SQLITE_DONE) throw this.#explain("step");
    }
    if (result.error !== undefined) throw result.error;
    return result;
  }

  #explain(phase: Phase): unknown {
    const { sqlite } = this.#live;
    const { failure, denied } = this.#query;
    if (failure !== undefined) return failure.error;
    const error = readSqliteError(sqlite, this.#connection.db, phase);
    const details = error.details;
    if (denied !== undefined) return new ReplicaError("READ_ONLY", denied, { details });
    if (((details.sqlite_code ?? 0) & 0xff) !== SQLITE_INTERRUPT) return error;
    return new ReplicaError(
      "QUERY_TIMEOUT",
      `the query used ${this.#request.limits.vmStepsMax} steps, which is all it may; an index may be missing`,
      { details },
    );
  }
}

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
  const sql = encodeSql(request.sql);
  const query = new RunningQuery(request, moved);
  let stack: PrivateStack | undefined;
  let connection: Connection | undefined;
  let isReusable = false;
  live.connectionTaken();
  try {
    stack = live.takeStack();
    connection = live.pool.take(request.sourceKey) ?? (await open(live, request, { stack, query }));
    connection.serve({ faults: query, watch: query, stepsMax: request.limits.vmStepsMax });
    const result = await new Execution(live, request, { stack, connection, query }).run(sql);
    isReusable = true;
    return result;
  } catch (error) {
    if (query.failure !== undefined && !live.isRetired) throw query.failure.error;
    // Of ours, or of SQLite's: then all is in order. Anything else has torn through C.
    if (!(error instanceof ReplicaError)) throw live.retire(error);
    isReusable = !isOutOfMemory(error) && error.code !== "CORRUPT_PAGE";
    throw error;
  } finally {
    live.giveBack({ connection, isReusable, stack });
  }
}

function open(
  live: LiveInstance,
  { sourceKey }: QueryRequest,
  { stack, query }: { stack: PrivateStack; query: RunningQuery },
): Promise<Connection> {
  const { sqlite: instance, heapBytesMax } = live;
  return Connection.open({ instance, stack, sourceKey, heapBytesMax, faults: query });
}
