import * as z from "zod";
import { ReplicaError } from "../../shared/errors.ts";
import { toTxid, type Txid } from "../../shared/ltx/txid.ts";
import { parseRef } from "../../shared/replica/ref.ts";

const WAIT_MS_MAX = 10_000;
const WAIT_MS_DEFAULT = 2_000;
const STALE_MS_MAX = 3_600_000;

/** Parameters of a request by name: strings out of a query string, anything out of a JSON body. */
export type RawParameters = Readonly<Record<string, unknown>>;

/** What the client demands of the newest transaction that it is shown. */
export interface Freshness {
  /** Not from before this one. */
  readonly minTxid: Txid | undefined;
  /** How long to wait for it; undefined where the client did not say. */
  readonly waitMs: number | undefined;
  /** How old the knowledge of the newest TXID may be; undefined for `HEAD_TTL_MS`. */
  readonly maxStaleMs: number | undefined;
}

/** A whole number, written in a query string or in JSON. */
export function integerParameter(min: number, max: number) {
  const error = `is a whole number from ${min} to ${max}`;
  return z
    .union([z.bigint(), z.string().regex(/^\d{1,15}$/, error)], { error })
    .transform(Number)
    .pipe(z.number().min(min, error).max(max, error));
}

/** The parameters that every route with a version takes. */
export const freshnessParameters = {
  min_txid: z.string().optional(),
  wait_ms: integerParameter(0, WAIT_MS_MAX).optional(),
  max_stale_ms: integerParameter(0, STALE_MS_MAX).optional(),
};

/**
 * The parameters in a query string.
 *
 * @throws {ReplicaError} `BAD_REQUEST` when one is given twice.
 */
export function queryStringParameters(url: URL): RawParameters {
  const parameters: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [name, value] of url.searchParams) {
    if (name in parameters) throw new ReplicaError("BAD_REQUEST", `${name} is given twice`);
    parameters[name] = value;
  }
  return parameters;
}

/**
 * Checks parameters against their schema.
 *
 * @throws {ReplicaError} `BAD_REQUEST`; the sentence names the parameter.
 */
export function checkParameters<T>(schema: z.ZodType<T>, parameters: RawParameters): T {
  const result = schema.safeParse({ ...parameters });
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  if (issue?.code === "unrecognized_keys") {
    const unknown = issue.keys.join(", ");
    throw new ReplicaError(
      "BAD_REQUEST",
      `there is no parameter ${unknown} here: check its spelling`,
    );
  }
  const name = issue?.path.join(".") ?? "";
  throw new ReplicaError("BAD_REQUEST", `${name} ${issue?.message ?? "is not valid"}`);
}

/**
 * Gathers what the client demands, from its parameters and from the headers that mean the same.
 *
 * @throws {ReplicaError} `BAD_REF` when `min_txid` is no TXID.
 */
export function toFreshness(
  parameters: z.infer<z.ZodObject<typeof freshnessParameters>>,
  headers: Headers,
): Freshness {
  const bookmark =
    parameters.min_txid ?? headers.get("x-min-txid") ?? headers.get("x-d1-bookmark") ?? undefined;
  const noCache = /\bno-cache\b/i.test(headers.get("cache-control") ?? "");
  return {
    minTxid: bookmark === undefined ? undefined : parseTxidParameter(bookmark),
    waitMs: parameters.wait_ms,
    maxStaleMs: parameters.max_stale_ms ?? (noCache ? 0 : undefined),
  };
}

/** How long to wait for `min_txid`, in milliseconds. */
export function waitMsOf({ waitMs }: Freshness): number {
  return waitMs ?? WAIT_MS_DEFAULT;
}

/** Reads 16 hex digits, `0x…` or `txid:…`; a bare decimal is a time's form, hence refused. */
function parseTxidParameter(text: string): Txid {
  // The clock plays no part in a TXID, and other kinds are refused.
  const target = parseRef(text.trim(), 0);
  if (target.kind === "txid") return toTxid(target.txid);
  throw new ReplicaError(
    "BAD_REF",
    `min_txid is a TXID, as 16 hex digits or as txid:855; ${JSON.stringify(text)} is none`,
  );
}
