import { ReplicaError } from "../../shared/errors.ts";

const INTEGER = /^-?\d+$/;
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** The reviver's third argument, which TypeScript's library does not know yet. */
interface ReviverContext {
  /** The text of a primitive value. */
  readonly source?: string;
}

/**
 * Parses JSON so that INTEGER and REAL stay apart: a number without fraction or exponent in the
 * text and within int64 becomes a bigint, any other a number. `JSON.parse` alone would read 1 and
 * 1.0 as the same, and 9007199254740993 as its neighbour.
 *
 * @param what Names the text in the error's sentence.
 * @throws {ReplicaError} `BAD_REQUEST` when `text` is not JSON.
 */
export function parseExactJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text, revive);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new ReplicaError("BAD_REQUEST", `${what} is not JSON: ${cause.message}`, { cause });
  }
}

function revive(_key: string, value: unknown, context?: ReviverContext): unknown {
  if (typeof value !== "number" || context?.source === undefined) return value;
  if (!INTEGER.test(context.source)) return value;
  const integer = BigInt(context.source);
  return integer >= INT64_MIN && integer <= INT64_MAX ? integer : value;
}
