import { ReplicaError } from "../../shared/errors.ts";
import type { SqliteInstance, StatementHandle } from "./build.ts";
import { outOfMemory, SQLITE_NOMEM } from "./query-error.ts";
import type { PreparedStatement } from "./statement-cache.ts";
import type { SqlArgs, SqlValue } from "./values.ts";

const SQLITE_OK = 0;
const PREFIXES = [":", "@", "$"];

/** Where the name of a parameter can begin, and how it goes on: SQLite's own rule. */
const NAME_START = /[?:@$#]/g;
const NAME = /\?\d+|[:@$#](?:[\w$\u0080-\uffff]|::)+(?:\([^\s)]*\))?/y;

function mismatch(sentence: string): ReplicaError {
  return new ReplicaError("ARGS_MISMATCH", sentence);
}

function bindOne(
  instance: SqliteInstance,
  { statement, index, value }: { statement: StatementHandle; index: number; value: SqlValue },
): void {
  const code = instance.bind(statement, index, value);
  if (code === SQLITE_OK) return;
  if (code === SQLITE_NOMEM) throw outOfMemory();
  throw mismatch(`the value of parameter ${index} cannot be used: SQLite answers ${code}`);
}

/** Parameters of a statement: SQLite says where they end. Leaves all of them NULL. */
export function countParameters(instance: SqliteInstance, statement: StatementHandle): number {
  let count = 0;
  // Bounded by SQLite's limit on the number of a parameter: one beyond it is SQLITE_RANGE.
  while (instance.bind(statement, count + 1, null) === SQLITE_OK) count++;
  return count;
}

function indexOf(instance: SqliteInstance, statement: StatementHandle, name: string): number {
  const isPrefixed = PREFIXES.some((prefix) => name.startsWith(prefix)) || name.startsWith("?");
  const spellings = isPrefixed ? [name] : PREFIXES.map((prefix) => prefix + name);
  for (const spelling of spellings) {
    const index = instance.parameterIndex(statement, spelling);
    if (index > 0) return index;
  }
  return 0;
}

/**
 * Gives every parameter of the statement its value. Before it all are NULL.
 *
 * @throws {ReplicaError} `ARGS_MISMATCH` when there are too few or too many, a name is unknown, or a
 *   parameter has no value.
 */
export function bindArgs(
  instance: SqliteInstance,
  { handle: statement, parameterCount: count }: PreparedStatement,
  args: SqlArgs,
): void {
  if (isPositional(args)) {
    if (args.length !== count) {
      throw mismatch(`the SQL has ${count} parameters, and ${args.length} arguments were given`);
    }
    for (const [at, value] of args.entries())
      bindOne(instance, { statement, index: at + 1, value });
    return;
  }
  const missing = new Set(Array.from({ length: count }, (_, at) => at + 1));
  for (const [name, value] of Object.entries(args)) {
    const index = indexOf(instance, statement, name);
    if (index === 0) throw mismatch(`the SQL has no parameter named ${name}`);
    bindOne(instance, { statement, index, value });
    missing.delete(index);
  }
  if (missing.size === 0) return;
  throw mismatch(`no argument was given for parameter ${[...missing].join(", ")} of the SQL`);
}

/**
 * The name of each parameter by position, as it stands in the SQL; null for a plain `?`. sql.js does
 * not export the function that says them, so whatever in the text looks like one is asked for.
 */
export function parameterNames(
  instance: SqliteInstance,
  { handle, parameterCount }: PreparedStatement,
  sql: string,
): (string | null)[] {
  const names = Array.from<string | null>({ length: parameterCount }).fill(null);
  if (parameterCount === 0) return names;
  const candidates = new Set<string>();
  for (const { index } of sql.matchAll(NAME_START)) {
    NAME.lastIndex = index;
    const name = NAME.exec(sql)?.[0];
    if (name !== undefined) candidates.add(name);
  }
  for (const name of candidates) {
    const position = instance.parameterIndex(handle, name);
    if (position > 0) names[position - 1] = name;
  }
  return names;
}

function isPositional(args: SqlArgs): args is readonly SqlValue[] {
  return Array.isArray(args);
}
