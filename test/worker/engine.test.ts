import { describe, expect, it } from "vitest";
import { getEngine } from "../../worker/sqlite/engine.ts";
import { runQuery } from "../../worker/sqlite/run-query.ts";
import { database, DATABASES, request, slowSource, tag } from "./support-engine/sources.ts";

describe("runQuery", () => {
  it.each(DATABASES)("answers what the real SQLite answers on %s", async (name) => {
    const engine = await getEngine();
    const opened = database(name);
    for (const { sql, rows } of opened.answers) {
      const source = slowSource(opened);
      const result = await runQuery(engine, request({ source, sourceKey: name, sql }));
      expect({ sql, rows: result.rows.map((row) => row.map(tag)) }).toEqual({ sql, rows });
    }
  });
});
