import { ReplicaError } from "../../shared/errors.ts";

/** What finds the virtual tables of a schema; the names of their modules are only in the text. */
export const VIRTUAL_TABLES_SQL =
  "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql LIKE 'create virtual table%'";

const MODULE_NAME = /\susing\s+["'`[]?(\w+)/i;

/**
 * Says which table of the query needs a module that this build does not have.
 *
 * @param error What SQLite said: it names the module.
 * @param tables Name and text of each virtual table of the schema.
 */
export function nameUnsupportedTables(
  error: ReplicaError,
  sql: string,
  tables: readonly (readonly unknown[])[],
): ReplicaError {
  const module = missingModule(error.message);
  const names = tables
    .filter(([, text]) => MODULE_NAME.exec(String(text))?.[1]?.toLowerCase() === module)
    .map(([name]) => String(name));
  const inQuery = names.filter((name) => sql.toLowerCase().includes(name.toLowerCase()));
  const meant = inQuery.length > 0 ? inQuery : names;
  if (meant.length === 0) return error;
  const subject = `${meant.length === 1 ? "the table" : "each of the tables"} ${meant.join(", ")}`;
  const sentence = `${subject} needs the SQLite module ${module}, which is not available here`;
  return new ReplicaError(error.code, sentence, { details: error.details });
}

function missingModule(message: string): string {
  return /module (\S+),/.exec(message)?.[1]?.toLowerCase() ?? "";
}
