import { HTTPException } from "hono/http-exception";
import * as z from "zod";
import { ReplicaError } from "../../shared/errors.ts";
import type { SqlArgs } from "../sqlite/values.ts";
import { QUERY_LIMITS, SQL_BYTES_MAX, SQL_BYTES_MAX_IN_URL, TIMEOUT_MS_MAX } from "../limits.ts";
import { parseExactJson } from "./exact-json.ts";
import {
  checkParameters,
  freshnessParameters,
  integerParameter,
  queryStringParameters,
  toFreshness,
  type Freshness,
  type RawParameters,
} from "./parameters.ts";
import { readBody } from "./read-body.ts";
import { BLOB_MODES, INTEGER_MODES, SHAPES, type ResultStyle } from "./result-json.ts";
import { toSqlArgs } from "./sql-args.ts";

/** A query as the client put it, checked. */
export interface QueryParameters {
  readonly sql: string;
  readonly args: SqlArgs;
  /** The `ref` of the version; undefined for the newest. */
  readonly at: string | undefined;
  readonly format: string | undefined;
  readonly rowsMax: number;
  readonly timeoutMs: number;
  readonly style: ResultStyle;
  readonly freshness: Freshness;
}

const choice = <const T extends readonly string[]>(values: T) =>
  z.enum(values, { error: `is one of ${values.join(", ")}` });

const schema = z.strictObject({
  sql: z.string({ error: "is missing: it is the statement, as a string" }).min(1, "is empty"),
  args: z.unknown().optional(),
  at: z.string({ error: "is a string" }).optional(),
  format: z.string({ error: "is a string" }).optional(),
  shape: choice(SHAPES).default("arrays"),
  int: choice(INTEGER_MODES).default("safe"),
  blob: choice(BLOB_MODES).default("base64"),
  limit: integerParameter(1, QUERY_LIMITS.rowsMax).default(QUERY_LIMITS.rowsMax),
  timeout_ms: integerParameter(1, TIMEOUT_MS_MAX).default(TIMEOUT_MS_MAX),
  ...freshnessParameters,
});

// A schema is prepared when it is first used. A Worker starts while its client still shakes hands, so that is the time.
schema.safeParse({ sql: "SELECT 1", args: [] });

/**
 * Reads a query from a request of any of its kinds: GET, or a body of JSON or of SQL.
 *
 * @throws {ReplicaError} `BAD_REQUEST`, `BAD_REF`, `URL_TOO_LONG`.
 * @throws {HTTPException} 413 or 415 for a body that is not read.
 */
export async function readQueryParameters(request: Request): Promise<QueryParameters> {
  const inUrl = queryStringParameters(new URL(request.url));
  const checked = checkParameters(schema, withParsedArgs(await allParameters(request, inUrl)));
  const { sql, args, at, format, shape, int, blob, limit, timeout_ms: timeoutMs } = checked;
  const sqlBytes = new TextEncoder().encode(sql).length;
  if (sqlBytes > SQL_BYTES_MAX) {
    throw new ReplicaError(
      "BAD_REQUEST",
      `the SQL is ${sqlBytes} bytes long; at most ${SQL_BYTES_MAX} are run`,
    );
  }
  if ("sql" in inUrl && sqlBytes > SQL_BYTES_MAX_IN_URL) {
    throw new ReplicaError(
      "URL_TOO_LONG",
      `the SQL is ${sqlBytes} bytes long; in a URL it may be ${SQL_BYTES_MAX_IN_URL}: send it in ` +
        "the body of a POST or QUERY request, as application/sql or as JSON",
    );
  }
  return {
    sql,
    args: toSqlArgs(args),
    at,
    format,
    rowsMax: limit,
    timeoutMs,
    style: { shape, int, blob },
    freshness: toFreshness(checked, request.headers),
  };
}

/** Parameters of the query string and of the body together; a name in both is refused. */
async function allParameters(request: Request, inUrl: RawParameters): Promise<RawParameters> {
  if (request.method === "GET" || request.method === "HEAD") return inUrl;
  const inBody = await bodyParameters(request);
  const twice = Object.keys(inBody).find((name) => name in inUrl);
  if (twice === undefined) return { ...inUrl, ...inBody };
  throw new ReplicaError("BAD_REQUEST", `${twice} is given twice: in the URL and in the body`);
}

async function bodyParameters(request: Request): Promise<RawParameters> {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type === "application/sql") return { sql: await readBody(request) };
  if (type !== "application/json") {
    throw new HTTPException(415, {
      message: "send a body of content-type application/json, or the SQL itself as application/sql",
    });
  }
  const json = parseExactJson(await readBody(request), "the body");
  if (typeof json === "object" && json !== null && !Array.isArray(json)) {
    return json as RawParameters;
  }
  throw new ReplicaError("BAD_REQUEST", 'the body is a JSON object, {"sql":"…","args":[…]}');
}

/** In a query string `args` is JSON text. */
function withParsedArgs(parameters: RawParameters): RawParameters {
  const { args } = parameters;
  return typeof args === "string"
    ? { ...parameters, args: parseExactJson(args, "args") }
    : parameters;
}
