import { type ErrorCode, ReplicaError } from "../../shared/errors.ts";
import type { SqliteBuild } from "./build.ts";
import { executeQuery } from "./execute-query.ts";
import { LiveInstance } from "./live-instance.ts";
import type { PageSource } from "./page-source.ts";
import type { QueryLimits, QueryResult } from "./query.ts";
import { SQLITE_NOMEM } from "./query-error.ts";
import type { SqlArgs } from "./values.ts";

/** A small heap, so that finding its end makes no large memory. */
const HEAP_BYTES_MAX = 1024 * 1024;

const LIMITS: QueryLimits = {
  rowsMax: 10,
  resultBytesMax: 10_000,
  vmStepsMax: 2_000,
  faultsMax: 10,
};

/** An INTEGER that neither an int32 nor a double holds. */
const EXACT_INTEGER = 9_007_199_254_740_993n;

/** Far beyond every budget here, but not endless: where nothing stops it the test still ends. */
const RUNAWAY = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 100000)";

interface Refusal {
  /** What must hold, as the message says it when it does not. */
  readonly what: string;
  readonly sql: string;
  readonly code: ErrorCode;
  readonly sqliteCode?: number;
  /** What the query may use, where that is what must stop it. */
  readonly limits?: Partial<QueryLimits>;
}

/** What the sandbox must stop, and how. */
const REFUSALS: readonly Refusal[] = [
  {
    what: "a query that never ends is interrupted",
    sql: `${RUNAWAY} SELECT count(*) FROM c`,
    code: "QUERY_TIMEOUT",
  },
  { what: "ATTACH is denied", sql: "ATTACH ':memory:' AS other", code: "READ_ONLY" },
  { what: "DETACH is denied", sql: "DETACH main", code: "READ_ONLY" },
  { what: "VACUUM INTO is denied", sql: "VACUUM INTO '/copy'", code: "READ_ONLY" },
  { what: "BEGIN is denied", sql: "BEGIN", code: "READ_ONLY" },
  { what: "a write is denied", sql: "CREATE TABLE written (a)", code: "READ_ONLY" },
  { what: "a temporary table is denied", sql: "CREATE TEMP TABLE t (a)", code: "READ_ONLY" },
  { what: "a pragma that writes is denied", sql: "PRAGMA user_version = 1", code: "READ_ONLY" },
  {
    what: "there is no table of the file's pages",
    sql: "SELECT * FROM sqlite_dbpage",
    code: "SQLITE_ERROR",
  },
  {
    what: "a deep expression is refused",
    sql: `SELECT 1${"+1".repeat(150)}`,
    code: "SQLITE_ERROR",
  },
  {
    what: "a compound of many SELECTs is refused",
    sql: `SELECT 1${" UNION ALL SELECT 1".repeat(30)}`,
    code: "SQLITE_ERROR",
  },
  {
    what: "a sort that is too large runs out of its heap",
    sql: `${RUNAWAY} SELECT length(b) FROM (SELECT x, zeroblob(99000) AS b FROM c LIMIT 50) ORDER BY x % 7, b`,
    code: "SQLITE_ERROR",
    sqliteCode: SQLITE_NOMEM,
  },
  { what: "a text that is too long is refused", sql: " ".repeat(100_001), code: "SQL_PARSE" },
  {
    what: "a result that is too large is refused",
    sql: "SELECT zeroblob(500)",
    code: "RESULT_TOO_LARGE",
    limits: { resultBytesMax: 400 },
  },
  {
    what: "a query waits for so many pages and no more",
    sql: "SELECT count(*) FROM sqlite_schema",
    code: "FAULT_BUDGET",
    limits: { faultsMax: 0 },
  },
  {
    what: "a query waits for so many bytes and no more",
    sql: "SELECT count(*) FROM sqlite_schema",
    code: "FAULT_BUDGET",
    limits: { faultBytesMax: 511 },
  },
];

/** An empty database of one page, as SQLite lays it out. The page has to be fetched. */
function emptyDatabase(): PageSource {
  const page = new Uint8Array(512);
  page.set(new TextEncoder().encode("SQLite format 3\0"));
  const header: readonly (readonly [number, number])[] = [
    [16, 2], // page size 512, big endian
    [18, 1], // rollback journal
    [19, 1],
    [21, 64], // payload fractions, always these
    [22, 32],
    [23, 32],
    [31, 1], // pages
    [47, 4], // schema format
    [59, 1], // UTF-8
    [100, 13], // an empty table leaf, whose cells end with the page
    [105, 2],
  ];
  for (const [offset, byte] of header) page[offset] = byte;
  let resident: Uint8Array | undefined;
  return {
    pageSize: 512,
    pageCount: 1,
    resident: () => resident,
    async load() {
      resident = page;
    },
  };
}

interface Run {
  readonly args?: SqlArgs;
  readonly limits?: Partial<QueryLimits> | undefined;
}

function run(
  live: LiveInstance,
  sql: string,
  { args = [], limits }: Run = {},
): Promise<QueryResult> {
  // Where a budget is tested the connection is a new one, which has read nothing yet.
  const sourceKey = limits === undefined ? "self-test" : JSON.stringify(limits);
  const source = emptyDatabase();
  const request = { source, sourceKey, sql, args, limits: { ...LIMITS, ...limits } };
  return executeQuery(live, request, () => {});
}

async function expectRefusal(live: LiveInstance, refusal: Refusal): Promise<void> {
  const { what, sql, code, sqliteCode, limits } = refusal;
  let cause: unknown = new Error("nothing stopped it");
  try {
    await run(live, sql, { limits });
  } catch (error) {
    const isRight =
      error instanceof ReplicaError &&
      error.code === code &&
      (sqliteCode === undefined || error.details.sqlite_code === sqliteCode);
    if (isRight) return;
    cause = error;
  }
  throw failed(what, cause);
}

function failed(what: string, cause: unknown): ReplicaError {
  const sentence = `the SQLite engine does not hold: it is not true here that ${what}`;
  return new ReplicaError("ENGINE_FAILED", sentence, { cause });
}

/**
 * Proves on an instance of its own, which is thrown away, that everything the sandbox is made of
 * bites: the offsets and names of `calibration.ts` belong to one file of wasm.
 *
 * @throws {ReplicaError} `ENGINE_FAILED` with what does not hold.
 */
export async function selfTest(build: SqliteBuild): Promise<void> {
  const exact = "integers of 64 bits go in and come out exactly";
  try {
    const live = new LiveInstance(build, HEAP_BYTES_MAX);
    const bound = await run(live, "SELECT typeof(?1), ?1", { args: [EXACT_INTEGER] });
    const [type, value] = bound.rows[0] ?? [];
    if (type !== "integer" || value !== EXACT_INTEGER) throw failed(exact, bound);
    const schema = await run(live, "SELECT name FROM sqlite_schema");
    const [column] = schema.columns;
    if (column?.name !== "name" || column.decltype !== "TEXT") {
      throw failed("columns have their names and declared types", schema);
    }
    for (const refusal of REFUSALS) await expectRefusal(live, refusal);
    const rows = await run(live, `${RUNAWAY} SELECT x FROM c`, { limits: { rowsMax: 2 } });
    if (rows.rows.length !== 2 || !rows.truncated) throw failed("rows end at their maximum", rows);
    await run(live, "SELECT 1");
  } catch (error) {
    if (error instanceof ReplicaError && error.code === "ENGINE_FAILED") throw error;
    throw failed("it answers a query", error);
  }
}
