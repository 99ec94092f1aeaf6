import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { ReplicaError } from "../../shared/errors.ts";

export type IntegrityCheck = "none" | "quick" | "full";

/** What SQLite says where a check needs something that only the application brings: that is no damage. */
const LACKS = /^(no such (collation sequence|function|module)|unknown (function|tokenizer))\b/;

interface Findings {
  readonly problem: string | undefined;
  readonly unchecked: readonly string[];
}

/**
 * Has SQLite check a database file that nobody else uses.
 *
 * @returns The tables that it cannot check, because their indexes need a collation or a function of the
 *   application's own; none as a rule.
 * @throws {ReplicaError} `CORRUPT_PAGE` with the first thing that SQLite found.
 */
export function checkIntegrity(path: string, check: IntegrityCheck): readonly string[] {
  if (check === "none") return [];
  const url = pathToFileURL(path);
  // Immutable: SQLite then looks for no log and leaves no -wal and -shm beside the file.
  url.searchParams.set("immutable", "1");
  const { problem, unchecked } = find(url, check);
  if (problem === undefined) return unchecked;
  throw new ReplicaError(
    "CORRUPT_PAGE",
    `the restored database fails its integrity check: ${problem}`,
  );
}

/** What people are told of tables that were not checked; empty when there are none. */
export function describeUnchecked(tables: readonly string[]): string {
  if (tables.length === 0) return "";
  const names = tables.map((name) => `"${name}"`).join(", ");
  return `; SQLite could not check ${names}: that takes a collation or a function of the application's own`;
}

function find(url: URL, check: "quick" | "full"): Findings {
  const pragma = check === "quick" ? "quick_check" : "integrity_check";
  try {
    using database = new DatabaseSync(url, { readOnly: true });
    const ask = (argument: string) => {
      const answer = String(database.prepare(`PRAGMA ${pragma}(${argument})`).get()?.[pragma]);
      return answer === "ok" ? undefined : answer;
    };
    try {
      return { problem: ask("1"), unchecked: [] };
    } catch (error) {
      if (!LACKS.test((error as Error).message)) throw error;
      return findByTable(["sqlite_schema", ...tablesOf(database)], ask);
    }
  } catch (cause) {
    return { problem: (cause as Error).message, unchecked: [] };
  }
}

/** One table after the other, so that one that cannot be checked leaves the others to be. */
function findByTable(
  tables: readonly string[],
  ask: (argument: string) => string | undefined,
): Findings {
  const unchecked: string[] = [];
  for (const table of tables) {
    try {
      const problem = ask(`'${table.replaceAll("'", "''")}'`);
      if (problem !== undefined) return { problem, unchecked };
    } catch (error) {
      if (!LACKS.test((error as Error).message)) throw error;
      unchecked.push(table);
    }
  }
  return { problem: undefined, unchecked };
}

/** All but virtual ones, whose content is in tables of its own. */
function tablesOf(database: DatabaseSync): string[] {
  const sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0";
  return database
    .prepare(sql)
    .all()
    .map(({ name }) => String(name));
}
