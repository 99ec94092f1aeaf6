import type { SqliteInstance, StatementHandle } from "./build.ts";
import type { QueryColumn } from "./query.ts";

/** Statements that a connection keeps, and the longest text of one: each holds some kilobytes of heap. */
const STATEMENTS_MAX = 16;
const SQL_LENGTH_MAX = 4_000;

/** A compiled statement, and what SQLite and the authorizer said of it while it was compiled. */
export interface PreparedStatement {
  readonly handle: StatementHandle;
  readonly columns: readonly QueryColumn[];
  readonly parameterCount: number;
  /** The authorizer is asked when a statement is compiled, and not each time that it runs. */
  readonly deterministic: boolean;
  /** Roots of the trees that it reads as a whole if it reads anything of them, as far as they were asked for. */
  readonly scans: readonly number[];
}

/**
 * The statements that one connection has compiled, by their text, those used last. A connection sees
 * one TXID, so its schema never changes and what was compiled stays right.
 */
export class StatementCache {
  readonly #instance: SqliteInstance;
  /** In the order in which they were last used. */
  readonly #statements = new Map<string, PreparedStatement>();

  constructor(instance: SqliteInstance) {
    this.#instance = instance;
  }

  get count(): number {
    return this.#statements.size;
  }

  /** The statement, which the caller now owns; undefined where it is to be compiled. */
  take(sql: string): PreparedStatement | undefined {
    const statement = this.#statements.get(sql);
    this.#statements.delete(sql);
    return statement;
  }

  /** Takes back a statement that has run in order; it keeps no row and no argument. */
  give(sql: string, statement: PreparedStatement): void {
    if (sql.length > SQL_LENGTH_MAX) return this.#instance.finalize(statement.handle);
    this.#instance.reset(statement.handle);
    this.#statements.set(sql, statement);
    const [oldest] = this.#statements;
    if (this.#statements.size <= STATEMENTS_MAX || oldest === undefined) return;
    this.#statements.delete(oldest[0]);
    this.#instance.finalize(oldest[1].handle);
  }

  /** Frees them all; a connection can be closed only then. */
  clear(): void {
    for (const { handle } of this.#statements.values()) this.#instance.finalize(handle);
    this.#statements.clear();
  }
}
