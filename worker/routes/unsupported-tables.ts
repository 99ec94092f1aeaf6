import { isReplicaError } from "../../shared/errors.ts";
import { PageReader } from "../../shared/replica/page-reader.ts";
import { QUERY_LIMITS } from "../limits.ts";
import type { Version } from "../replicas/open-version.ts";
import type { Service } from "../service.ts";
import { buildsOf, engineChoice } from "../sqlite/engine-choice.ts";
import { type QueryResult, runQuery } from "../sqlite/run-query.ts";
import { MeteredSource, sourceKeyOf } from "./metered-source.ts";
import { reopenForQuery } from "./reopen-for-query.ts";
import {
  findUnsupportedTables,
  type UnsupportedTable,
  VIRTUAL_TABLES_SQL,
} from "../sqlite/unsupported-module.ts";

/**
 * The tables of a database that no engine here can read, as `GET /v1/dbs/:db` names them; everything
 * else of it can be queried. Null where the schema itself cannot be read: a query says why.
 */
export async function listUnsupportedTables(
  { config, library, replica }: Service,
  { snapshot, identity }: Version,
  signal: AbortSignal,
): Promise<readonly UnsupportedTable[] | null> {
  const sourceKey = sourceKeyOf({ replica, snapshot, identity });
  const reader = new PageReader(snapshot, {
    cache: library.pages,
    reopen: (gone, look) => reopenForQuery(library, gone, look),
  });
  const source = new MeteredSource(reader, () => library.markUnverified(sourceKey));
  const query = (sql: string): Promise<QueryResult> => {
    const request = { source, sourceKey, sql, args: [], limits: QUERY_LIMITS, signal };
    return engineChoice(config.engine).on(replica.path, request, runQuery);
  };
  const builds = buildsOf(config.engine);
  try {
    const { rows } = await query(VIRTUAL_TABLES_SQL);
    const everywhere = builds.filter(({ readsUtf16 }) => readsUtf16);
    const hasDoubt = findUnsupportedTables(everywhere, rows).length > 0;
    const isUtf16 = hasDoubt && isUtf16Encoding(await query("PRAGMA encoding"));
    return findUnsupportedTables(isUtf16 ? everywhere : builds, rows);
  } catch (error) {
    if (isReplicaError(error) && error.code !== "ABORTED") return null;
    throw error;
  } finally {
    reader.close();
  }
}

/** A build that knows only one encoding has no rows for this pragma. */
function isUtf16Encoding({ rows }: QueryResult): boolean {
  return String(rows[0]?.[0] ?? "").startsWith("UTF-16");
}
