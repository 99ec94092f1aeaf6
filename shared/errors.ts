/**
 * Every failure that a caller may want to tell apart. In HTTP answers a code appears in kebab-case
 * (`bad-ref`), in Hrana and in the CLI's JSON as it stands. A new code does not compile until
 * `worker/http/problem.ts` gives it a status and `replicator/exit-code.ts` an exit code.
 */
export type ErrorCode =
  // The request or the command line.
  | "BAD_REQUEST"
  | "BAD_REF"
  | "BAD_CONFIG"
  | "SQL_PARSE"
  | "ARGS_MISMATCH"
  | "MANY_STATEMENTS"
  | "READ_ONLY"
  | "FORMAT"
  | "URL_TOO_LONG"
  | "RANGE"
  | "PRECONDITION"
  // Who asks.
  | "TOKEN_MISSING"
  | "TOKEN_INVALID"
  // What the replica holds.
  | "DB_NOT_FOUND"
  | "LEGACY_REPLICA"
  | "TIME_OUT_OF_RANGE"
  | "VERSION_EXPIRED"
  | "TXID_TOO_NEW"
  | "REPLICA_GAP"
  | "REPLICA_BEHIND"
  | "OBJECT_MISSING"
  | "CORRUPT_PAGE"
  // The store.
  | "STORE_DENIED"
  | "STORE_CONFLICT"
  | "R2_ERROR"
  // Running a query.
  | "SQLITE_ERROR"
  | "RESULT_TOO_LARGE"
  | "FAULT_BUDGET"
  | "QUERY_TIMEOUT"
  | "OVERLOADED"
  | "UNSUPPORTED_MODULE"
  | "ENGINE_FAILED"
  // The source database and local files.
  | "SOURCE_INVALID"
  | "OUTPUT_EXISTS"
  | "LOCAL_FILE"
  | "WRITER_CONFLICT"
  | "ABORTED";

/** What else an error can tell a machine; each field is shown as it is in problem details. */
export interface ErrorDetails {
  /** TXID the request resolved to, 16 hex digits. */
  readonly txid?: string;
  /** First and last TXID that can be restored, 16 hex digits each. */
  readonly range?: { readonly min: string; readonly max: string };
  /** The restorable TXIDs next to the one asked for, 16 hex digits each. */
  readonly neighbours?: { readonly before?: string; readonly after?: string };
  /** SQLite's primary or extended result code. */
  readonly sqlite_code?: number;
  /** Offset in the SQL text of the token that the parser stopped at, in bytes. */
  readonly position?: number;
  /** The SQLite module that a table needs and that is not there, in lower case. */
  readonly module?: string;
}

export interface ReplicaErrorOptions extends ErrorOptions {
  readonly details?: ErrorDetails | undefined;
}

/** An operating error: expected, named, and handled by code rather than by message. */
export class ReplicaError extends Error {
  override readonly name = "ReplicaError";
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options?: ReplicaErrorOptions) {
    super(message, options);
    this.code = code;
    this.details = options?.details ?? {};
  }
}

/** Says whether `error` is a `ReplicaError`, of this code where one is given. */
export function isReplicaError(error: unknown, code?: ErrorCode): error is ReplicaError {
  return error instanceof ReplicaError && (code === undefined || error.code === code);
}

/** Throws `ABORTED` when `signal` has fired; long loops call it once a pass. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new ReplicaError("ABORTED", "the operation was cancelled", { cause: signal.reason });
}
