/** Compares two SQLite files as their readers see them. */
import { DatabaseSync } from "node:sqlite";

/** Every table's rows, in a fixed order, and what `integrity_check` says. */
export function contentOf(path: string): { integrity: string; tables: Record<string, unknown[]> } {
  const database = new DatabaseSync(path, { readOnly: true, readBigInts: true });
  try {
    const tables: Record<string, unknown[]> = {};
    const names = database
      .prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_litestream\\_%' ESCAPE '\\' ORDER BY name",
      )
      .all();
    for (const { name } of names) {
      const quoted = `"${String(name).replaceAll('"', '""')}"`;
      const rows = database.prepare(`SELECT * FROM ${quoted}`);
      rows.setReturnArrays(true);
      tables[String(name)] = rows.all();
    }
    const check = database.prepare("PRAGMA integrity_check").get();
    return { integrity: String(check?.["integrity_check"]), tables };
  } finally {
    database.close();
  }
}
