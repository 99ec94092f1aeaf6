import type { PageSource } from "./page-source.ts";
import type { SqlArgs, SqlValue } from "./values.ts";

/** What one query may use. None is in milliseconds: a Worker's clock stands still while it computes. */
export interface QueryLimits {
  /** Rows in the result; there are more when `truncated` is set. */
  readonly rowsMax: number;
  /** Bytes of the result's values; beyond it the query fails with `RESULT_TOO_LARGE`. */
  readonly resultBytesMax: number;
  /** Steps of SQLite's virtual machine, in thousands rounded up; beyond it `QUERY_TIMEOUT`. */
  readonly vmStepsMax: number;
  /** Times that the query may wait for a page; beyond it `FAULT_BUDGET`. */
  readonly faultsMax: number;
  /** Bytes of the pages it waited for; beyond it `FAULT_BUDGET`. */
  readonly faultBytesMax?: number | undefined;
}

export interface QueryColumn {
  readonly name: string;
  /** The declared type of a plain table column; null for an expression. */
  readonly decltype: string | null;
}

/** One statement on one version of a database, and what it may use. */
export interface StatementRequest {
  readonly source: PageSource;
  /** Database, TXID and plan: connections are pooled by it, and none ever sees two TXIDs. */
  readonly sourceKey: string;
  readonly sql: string;
  readonly limits: QueryLimits;
  readonly signal?: AbortSignal | undefined;
}

export interface QueryRequest extends StatementRequest {
  readonly args: SqlArgs;
}

export interface QueryResult {
  readonly columns: readonly QueryColumn[];
  readonly rows: readonly (readonly SqlValue[])[];
  /** There are more rows than `rowsMax`. */
  readonly truncated: boolean;
  /** False where the same text at the same TXID may answer otherwise: `random()`, dates, and the like. */
  readonly deterministic: boolean;
  /** Steps of SQLite's virtual machine, counted in thousands. */
  readonly vmSteps: number;
}
