import type { AuthorizerQuestion } from "./build.ts";

/** SQLite's authorizer: let it be, fail the statement, or leave the access out. */
export const ALLOW = 0;
export const DENY = 1;
export const IGNORE = 2;

/** SQLite's limits by number; they keep what a query nests from overflowing its private stack. */
export const SQLITE_LIMITS: ReadonlyMap<number, number> = new Map([
  [1, 100_000], // bytes of SQL
  [3, 100], // depth of an expression
  [4, 20], // terms of a compound SELECT
  [8, 5_000], // bytes of a LIKE or GLOB pattern: matching recurses at each wildcard
  [9, 1_000], // highest number of a parameter
  [12, 500], // depth of the parser's stack
]);

/** Read-only pragmas that take no argument: with one they would write. */
const PRAGMAS_WITHOUT_ARGUMENT = new Set([
  "compile_options",
  "encoding",
  "function_list",
  "page_count",
  "page_size",
  "schema_version",
  "user_version",
]);

/** Read-only pragmas whose argument names what they are about. */
const PRAGMAS_WITH_ARGUMENT = new Set([
  "foreign_key_list",
  "index_info",
  "index_list",
  "index_xinfo",
  "integrity_check",
  "quick_check",
  "table_info",
  "table_list",
  "table_xinfo",
]);

/** What FTS5 asks of its connection while a query reads a table of its; no query may ask it itself. */
const PRAGMA_OF_FTS5 = "data_version";

/**
 * Tables that are not of the database: pages as they lie in the file, and what a connection keeps. Others
 * (dbstat, bytecode) have names that a table of the database may have; no build here has their modules.
 */
const TABLES_DENIED = new Set([`pragma_${PRAGMA_OF_FTS5}`, "sqlite_dbpage", "sqlite_stmt"]);

/** The shadow tables of an R*Tree: its constructor prepares, and never runs, what would write them. */
const RTREE_SHADOW_TABLE = /_(node|parent|rowid)$/i;

/** Functions that reach outside of the query, or make SQLite trust a pointer. */
const FUNCTIONS_DENIED = new Set(["fts3_tokenizer", "load_extension", "sqlite_log"]);

/**
 * Functions whose answer may change while the database does not. A date function is one whatever
 * its arguments are: 'now' may stand in a column.
 */
const FUNCTIONS_NOT_DETERMINISTIC = new Set([
  "changes",
  "current_date",
  "current_time",
  "current_timestamp",
  "date",
  "datetime",
  "julianday",
  "last_insert_rowid",
  "random",
  "randomblob",
  "sqlite_compileoption_get",
  "sqlite_compileoption_used",
  "sqlite_source_id",
  "sqlite_version",
  "strftime",
  "time",
  "timediff",
  "total_changes",
  "unixepoch",
]);

/** Pragmas about the build of SQLite, not about the database. */
const PRAGMAS_NOT_DETERMINISTIC = new Set(["compile_options", "foreign_keys", "function_list"]);

/** Changing one of these is how SQLite changes the schema; it asks about it first. */
const SCHEMA_TABLES = new Set([
  "sqlite_master",
  "sqlite_schema",
  "sqlite_temp_master",
  "sqlite_temp_schema",
]);

/** What SQLite's authorizer codes stand for, where the answer is always no. */
const DENIED_ACTIONS: ReadonlyMap<number, string> = new Map([
  [1, "CREATE INDEX"],
  [2, "CREATE TABLE"],
  [3, "CREATE TEMP INDEX"],
  [4, "CREATE TEMP TABLE"],
  [5, "CREATE TEMP TRIGGER"],
  [6, "CREATE TEMP VIEW"],
  [7, "CREATE TRIGGER"],
  [8, "CREATE VIEW"],
  [9, "DELETE"],
  [10, "DROP INDEX"],
  [11, "DROP TABLE"],
  [12, "DROP TEMP INDEX"],
  [13, "DROP TEMP TABLE"],
  [14, "DROP TEMP TRIGGER"],
  [15, "DROP TEMP VIEW"],
  [16, "DROP TRIGGER"],
  [17, "DROP VIEW"],
  [18, "INSERT"],
  [23, "UPDATE"],
  [24, "ATTACH"],
  [25, "DETACH"],
  [26, "ALTER TABLE"],
  [27, "REINDEX"],
  [28, "ANALYZE"],
  [29, "CREATE VIRTUAL TABLE"],
  [30, "DROP VIRTUAL TABLE"],
]);

const ACTION_DELETE = 9;
const ACTION_INSERT = 18;
const ACTION_PRAGMA = 19;
const ACTION_READ = 20;
const ACTION_SELECT = 21;
const ACTION_TRANSACTION = 22;
const ACTION_UPDATE = 23;
const ACTION_FUNCTION = 31;
const ACTION_SAVEPOINT = 32;
const ACTION_RECURSIVE = 33;

const CHANGES_OF_ROWS = new Set([9, 18, 23]);

/**
 * Says whether it is DELETE, INSERT or UPDATE of a table's rows, the schema's excepted. To compile one
 * changes nothing; many others do their work, or part of it, while they are compiled.
 */
export function changesRows({ action, first }: AuthorizerQuestion): boolean {
  return CHANGES_OF_ROWS.has(action) && !SCHEMA_TABLES.has(first ?? "");
}

export interface Verdict {
  readonly answer: typeof ALLOW | typeof DENY | typeof IGNORE;
  /** Why not; present when the answer is `DENY`. */
  readonly reason?: string;
  /** Set where the statement may answer otherwise on the same database. */
  readonly notDeterministic?: boolean;
}

function deny(reason: string): Verdict {
  return { answer: DENY, reason };
}

function judgePragma(name: string, argument: string | null): Verdict {
  const notDeterministic = PRAGMAS_NOT_DETERMINISTIC.has(name);
  // Nothing is ever written, so there are no foreign keys to enforce.
  if (name === "foreign_keys") {
    return { answer: argument === null ? ALLOW : IGNORE, notDeterministic };
  }
  if (PRAGMAS_WITH_ARGUMENT.has(name)) return { answer: ALLOW };
  if (!PRAGMAS_WITHOUT_ARGUMENT.has(name)) {
    return deny(`PRAGMA ${name} is not one of those that a query may use`);
  }
  if (argument !== null) return deny(`PRAGMA ${name} may be read here, not set`);
  return { answer: ALLOW, notDeterministic };
}

function judgeFunction(name: string): Verdict {
  if (FUNCTIONS_DENIED.has(name)) return deny(`the function ${name} is not allowed`);
  return { answer: ALLOW, notDeterministic: FUNCTIONS_NOT_DETERMINISTIC.has(name) };
}

/**
 * Says what a statement may do; whatever it does not name is denied.
 *
 * @param isRunning Whether the query runs: what is prepared then is no text of its own, but that of a
 *   virtual table or of a pragma that it reads as one.
 */
export function judge(question: AuthorizerQuestion, isRunning: boolean): Verdict {
  const { action, first, second } = question;
  switch (action) {
    case ACTION_READ:
      return judgeRead((first ?? "").toLowerCase());
    case ACTION_SELECT:
    case ACTION_RECURSIVE:
      return { answer: ALLOW };
    case ACTION_FUNCTION:
      return judgeFunction((second ?? "").toLowerCase());
    case ACTION_PRAGMA:
      if (isRunning && first === PRAGMA_OF_FTS5 && second === null) return { answer: ALLOW };
      return judgePragma((first ?? "").toLowerCase(), second);
    case ACTION_DELETE:
    case ACTION_INSERT:
    case ACTION_UPDATE:
      if (RTREE_SHADOW_TABLE.test(first ?? "") && question.isInConstructor()) {
        return { answer: ALLOW };
      }
      return denyWrite(action, first);
    case ACTION_TRANSACTION:
    case ACTION_SAVEPOINT:
      return deny(
        `${action === ACTION_SAVEPOINT ? "SAVEPOINT" : (first ?? "BEGIN")} is not allowed: each query ` +
          "reads one transaction of the database, and runs alone",
      );
    default:
      return denyWrite(action, first);
  }
}

function judgeRead(table: string): Verdict {
  if (TABLES_DENIED.has(table)) return deny(`the table ${table} is not one that a query may read`);
  return { answer: ALLOW };
}

function denyWrite(action: number, table: string | null): Verdict {
  const isSchema = SCHEMA_TABLES.has(table ?? "");
  const denied = DENIED_ACTIONS.get(action) ?? `the action ${action}`;
  const name = isSchema ? "a change of the schema" : denied;
  return deny(`${name} is not allowed: a replica can only be read; write to its source`);
}
