import { ReplicaError } from "../../shared/errors.ts";
import { ARGS_MAX } from "../limits.ts";
import type { SqlArgs, SqlValue } from "../sqlite/values.ts";
import { decodeBase64 } from "./base64.ts";

const INTEGER = /^-?\d{1,19}$/;

/**
 * Reads a query's arguments.
 *
 * @param value What `parseExactJson` gave: an array for arguments by position, an object for
 *   arguments by name, undefined for none.
 * @throws {ReplicaError} `BAD_REQUEST`, naming the argument, when one cannot be bound.
 */
export function toSqlArgs(value: unknown): SqlArgs {
  if (value === undefined || value === null) return [];
  if (typeof value !== "object") {
    throw new ReplicaError("BAD_REQUEST", "args is an array, or an object with names");
  }
  const entries = Object.entries(value);
  if (entries.length > ARGS_MAX) {
    throw new ReplicaError(
      "BAD_REQUEST",
      `args has ${entries.length} values; at most ${ARGS_MAX} are bound`,
    );
  }
  const values = entries.map(
    ([key, item]) => [key, toSqlValue(item, `args[${JSON.stringify(key)}]`)] as const,
  );
  if (Array.isArray(value)) return values.map(([, item]) => item);
  return Object.fromEntries(values);
}

function toSqlValue(value: unknown, where: string): SqlValue {
  switch (typeof value) {
    case "string":
    case "bigint":
    case "number":
      return value;
    case "boolean":
      return value ? 1n : 0n;
    default:
  }
  if (value === null) return null;
  if (typeof value === "object" && !Array.isArray(value)) {
    const typed = toTypedValue(value as Readonly<Record<string, unknown>>);
    if (typed !== undefined) return typed;
  }
  throw new ReplicaError(
    "BAD_REQUEST",
    `${where} is nothing that SQLite binds: give a string, a number, a boolean, null, ` +
      '{"base64":"…"}, or {"type":"integer","value":"…"} with type null, integer, float, text or blob',
  );
}

/** Reads our own blob, and the value objects of Hrana. Undefined when `value` is neither. */
function toTypedValue(value: Readonly<Record<string, unknown>>): SqlValue | undefined {
  const { type = "blob", value: content, base64 } = value;
  switch (type) {
    case "null":
      return null;
    case "integer":
      return toInteger(content);
    case "float":
      return typeof content === "number" || typeof content === "bigint"
        ? Number(content)
        : undefined;
    case "text":
      return typeof content === "string" ? content : undefined;
    case "blob":
      return typeof base64 === "string" ? decodeBase64(base64) : undefined;
    default:
      return undefined;
  }
}

function toInteger(content: unknown): bigint | undefined {
  if (typeof content === "bigint") return content;
  if (typeof content !== "string" || !INTEGER.test(content)) return undefined;
  const integer = BigInt(content);
  return BigInt.asIntN(64, integer) === integer ? integer : undefined;
}
