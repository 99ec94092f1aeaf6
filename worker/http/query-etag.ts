import type { SqlValue } from "../sqlite/values.ts";
import { encodeHex } from "./base64.ts";
import type { QueryParameters } from "./query-parameters.ts";

/** Goes up when the same query at the same version is answered with other bytes. */
const FORMAT_VERSION = 1;
const DIGEST_BYTES = 16;

/**
 * The strong validator of a query's answer: of everything that decides it but the clock.
 *
 * @param identity The version's, see `identifyPlan`.
 */
export async function queryEtag(
  identity: string,
  { sql, args, rowsMax, style }: QueryParameters,
): Promise<string> {
  const values = Object.entries(args).map(([name, value]) => [name, ...distinct(value)]);
  const text = JSON.stringify([FORMAT_VERSION, identity, sql, values, rowsMax, style]);
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `"${encodeHex(new Uint8Array(digest, 0, DIGEST_BYTES))}"`;
}

/** A value with its type, so that 2, 2.0 and "2" differ. */
function distinct(value: SqlValue): readonly string[] {
  if (value === null) return ["null"];
  return [typeof value, value instanceof Uint8Array ? encodeHex(value) : String(value)];
}
