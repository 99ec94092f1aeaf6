import { HTTPException } from "hono/http-exception";
import { ReplicaError, type ErrorCode } from "../../shared/errors.ts";
import { logFailure } from "./log.ts";

/** Problem details for HTTP APIs, RFC 9457, with this API's extension fields. */
export interface Problem {
  /** Stable: what a program may compare. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** For people: what is wrong, and what to do. */
  readonly detail?: string;
  /** The request, as the log names it. */
  readonly instance: string;
  /** The `ErrorCode` in kebab-case, or a name for the status where no code applies. */
  readonly code: string;
  readonly [extension: string]: unknown;
}

interface ProblemKind {
  readonly status: number;
  readonly title: string;
  /** Seconds after which the same request may succeed; sent as `Retry-After`. */
  readonly retryAfterSeconds?: number;
}

/** Total by type: a new `ErrorCode` does not compile until it has a status and a title. */
const PROBLEMS: Record<ErrorCode, ProblemKind> = {
  BAD_REQUEST: { status: 400, title: "The request is not valid" },
  BAD_REF: { status: 400, title: "That does not name a point in history" },
  BAD_CONFIG: { status: 500, title: "The Worker is not configured rightly" },
  SQL_PARSE: { status: 400, title: "The SQL does not parse" },
  ARGS_MISMATCH: { status: 400, title: "The arguments do not fit the statement" },
  MANY_STATEMENTS: { status: 400, title: "One query is one statement" },
  READ_ONLY: { status: 403, title: "This database is read-only" },
  FORMAT: { status: 406, title: "There is no such format" },
  URL_TOO_LONG: { status: 414, title: "The URL is too long" },
  RANGE: { status: 416, title: "The range lies outside the file" },
  PRECONDITION: { status: 412, title: "The file is not the one that was asked for" },
  TOKEN_MISSING: { status: 401, title: "A token is needed" },
  TOKEN_INVALID: { status: 401, title: "The token is not valid" },
  DB_NOT_FOUND: { status: 404, title: "There is no such database" },
  LEGACY_REPLICA: { status: 404, title: "The replica is in a format of the past" },
  TIME_OUT_OF_RANGE: { status: 404, title: "That moment is not in the replica" },
  VERSION_EXPIRED: { status: 410, title: "That transaction can no longer be restored" },
  TXID_TOO_NEW: { status: 409, title: "That transaction is not in the replica yet" },
  REPLICA_GAP: { status: 410, title: "Files of the replica are missing" },
  REPLICA_BEHIND: { status: 503, title: "The replica is behind", retryAfterSeconds: 1 },
  OBJECT_MISSING: { status: 503, title: "A file of the replica has gone", retryAfterSeconds: 1 },
  CORRUPT_PAGE: { status: 500, title: "The replica holds a damaged file" },
  STORE_DENIED: { status: 502, title: "The bucket refuses the Worker" },
  STORE_CONFLICT: { status: 503, title: "A file of the replica has changed", retryAfterSeconds: 1 },
  R2_ERROR: { status: 502, title: "The bucket did not answer" },
  SQLITE_ERROR: { status: 422, title: "SQLite refused the query" },
  RESULT_TOO_LARGE: { status: 413, title: "The result is too large" },
  FAULT_BUDGET: { status: 504, title: "The query reads more than one request may" },
  QUERY_TIMEOUT: { status: 504, title: "The query takes longer than one request may" },
  OVERLOADED: { status: 503, title: "The Worker is at its limit", retryAfterSeconds: 1 },
  UNSUPPORTED_MODULE: { status: 501, title: "This build of SQLite lacks a module" },
  ENGINE_FAILED: { status: 500, title: "The SQL engine failed" },
  SOURCE_INVALID: { status: 422, title: "The replica does not hold a SQLite database" },
  // The replicator's; here only so that the table is total.
  OUTPUT_EXISTS: { status: 500, title: "The output exists" },
  LOCAL_FILE: { status: 500, title: "A local file could not be used" },
  WRITER_CONFLICT: { status: 500, title: "Another writer is at work" },
  // Nobody reads it: the client has left.
  ABORTED: { status: 499, title: "The client left" },
};

/** Names for failures of plain HTTP, which have no `ErrorCode`. */
const STATUS_CODES: Readonly<Record<number, readonly [code: string, title: string]>> = {
  404: ["not-found", "Not Found"],
  405: ["method-not-allowed", "Method Not Allowed"],
  413: ["content-too-large", "Content Too Large"],
  415: ["unsupported-media-type", "Unsupported Media Type"],
};

/** Maps any thrown value to problem details. Unknown errors never leak their message. */
export function toProblem(error: unknown, instance: string): Problem {
  if (error instanceof ReplicaError) {
    const { status, title } = PROBLEMS[error.code];
    const code = error.code.toLowerCase().replaceAll("_", "-");
    const type = `/problems/${code}`;
    return { ...error.details, type, title, status, detail: error.message, instance, code };
  }
  const named = error instanceof HTTPException ? STATUS_CODES[error.status] : undefined;
  if (error instanceof HTTPException && named) {
    const [code, title] = named;
    return {
      type: "about:blank",
      title,
      status: error.status,
      detail: error.message,
      instance,
      code,
    };
  }
  return {
    type: "about:blank",
    title: "Internal Server Error",
    status: 500,
    detail: "The Worker failed in a way that it does not know; its log names the request.",
    instance,
    code: "internal",
  };
}

/** Answers with the problem that `error` is: where every error of the Worker ends. */
export function problemResponse(
  error: unknown,
  extra: Readonly<Record<string, string>> = {},
): Response {
  const problem = toProblem(error, `urn:uuid:${crypto.randomUUID()}`);
  // What the client can do something about (a limit, a replica that is behind) is not for the log.
  if (problem.status === 500 || problem.status === 502) logFailure(problem, error);
  const headers = new Headers({
    "content-type": "application/problem+json",
    "cache-control": "no-store",
    ...extra,
  });
  if (error instanceof ReplicaError) {
    const { retryAfterSeconds } = PROBLEMS[error.code];
    if (retryAfterSeconds !== undefined) headers.set("retry-after", String(retryAfterSeconds));
    if (error.details.txid !== undefined) headers.set("x-txid", error.details.txid);
    if (error.code === "TOKEN_MISSING") headers.set("www-authenticate", 'Bearer realm="eddy"');
    if (error.code === "TOKEN_INVALID") {
      headers.set("www-authenticate", 'Bearer realm="eddy", error="invalid_token"');
    }
  }
  return new Response(JSON.stringify(problem), { status: problem.status, headers });
}
