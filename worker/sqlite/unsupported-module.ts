import { ReplicaError } from "../../shared/errors.ts";
import type { SqliteBuild } from "./build.ts";

/** What finds the virtual tables of a schema; the names of their modules are only in the text. */
export const VIRTUAL_TABLES_SQL =
  "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql LIKE 'create virtual table%'";

/** A virtual table, and the module that it needs and that no engine has. */
export interface UnsupportedTable {
  readonly name: string;
  readonly module: string;
}

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
  const { module } = error.details;
  const names = tables
    .filter(([, text]) => moduleOf(String(text)) === module)
    .map(([name]) => String(name));
  const inQuery = names.filter((name) => sql.toLowerCase().includes(name.toLowerCase()));
  const meant = inQuery.length > 0 ? inQuery : names;
  if (meant.length === 0) return error;
  const subject = `${meant.length === 1 ? "the table" : "each of the tables"} ${meant.join(", ")}`;
  const sentence = `${subject} needs the SQLite module ${module}, which is not available here`;
  return new ReplicaError(error.code, sentence, { details: error.details });
}

/** The module, in lower case, that `CREATE VIRTUAL TABLE … USING` names. */
function moduleOf(createVirtualTable: string): string | undefined {
  return MODULE_NAME.exec(createVirtualTable)?.[1]?.toLowerCase();
}

/**
 * The virtual tables that none of `builds` can read.
 *
 * @param tables Name and text of each virtual table of the schema.
 */
export function findUnsupportedTables(
  builds: readonly SqliteBuild[],
  tables: readonly (readonly unknown[])[],
): UnsupportedTable[] {
  return tables
    .map(([name, text]) => ({ name: String(name), module: moduleOf(String(text)) ?? "" }))
    .filter(({ module }) => !builds.some((build) => build.modules.has(module)));
}
