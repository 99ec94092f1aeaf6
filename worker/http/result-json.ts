import type { QueryResult } from "../sqlite/run-query.ts";
import type { SqlValue } from "../sqlite/values.ts";
import { encodeBase64, encodeHex } from "./base64.ts";

/** `arrays` and `objects` stand in an envelope; `array` (objects) and `first` (the first column) are bare. */
export const SHAPES = ["arrays", "objects", "array", "first"] as const;
export const INTEGER_MODES = ["safe", "number", "string"] as const;
export const BLOB_MODES = ["base64", "hex", "omit"] as const;

export interface ResultStyle {
  readonly shape: (typeof SHAPES)[number];
  readonly int: (typeof INTEGER_MODES)[number];
  readonly blob: (typeof BLOB_MODES)[number];
}

/** What the envelope says beside the rows; `stats` comes last and gains `bigint_columns`. */
export interface ResultFacts {
  readonly txid: string;
  readonly timestamp: string;
  readonly exact: boolean;
  readonly verified: boolean;
  readonly requested_at?: string | undefined;
  readonly stats: Readonly<Record<string, number>>;
}

const SAFE = BigInt(Number.MAX_SAFE_INTEGER) + 1n;

/**
 * Writes a result as JSON text. By hand, because `JSON.stringify` can write neither an INTEGER of
 * 64 bits nor a REAL that looks like one (`2.0`).
 */
export function formatResult(result: QueryResult, style: ResultStyle, facts: ResultFacts): string {
  const bigintColumns = new Set<number>();
  const cell = (value: SqlValue, column: number): string => {
    if (typeof value === "bigint" && style.int === "safe" && !isSafe(value)) {
      bigintColumns.add(column);
    }
    return formatValue(value, style);
  };
  const rows = formatRows(result, style, cell);
  if (style.shape === "array" || style.shape === "first") return rows;
  const { stats, ...head } = facts;
  const names = Array.from(bigintColumns, (column) => result.columns[column]?.name);
  const bigint = names.length > 0 ? { bigint_columns: names } : {};
  const tail = {
    row_count: result.rows.length,
    truncated: result.truncated,
    stats: { ...stats, ...bigint },
  };
  const before = JSON.stringify({ ...head, columns: result.columns }).slice(0, -1);
  return `${before},"rows":${rows},${JSON.stringify(tail).slice(1)}`;
}

function formatRows(
  { columns, rows }: QueryResult,
  { shape }: ResultStyle,
  cell: (value: SqlValue, column: number) => string,
): string {
  if (shape === "first") {
    return `[${rows.map((row) => (row[0] === undefined ? "null" : cell(row[0], 0))).join(",")}]`;
  }
  if (shape === "arrays") return `[${rows.map((row) => `[${row.map(cell).join(",")}]`).join(",")}]`;
  const keys = objectKeys(columns.map(({ name }) => name)).map((name) => JSON.stringify(name));
  const object = (row: readonly SqlValue[]) =>
    `{${row.map((value, column) => `${keys[column]}:${cell(value, column)}`).join(",")}}`;
  return `[${rows.map(object).join(",")}]`;
}

/** Names for the members of a row: the second column called `name` becomes `name_2`. */
export function objectKeys(names: readonly string[]): string[] {
  // A column that is really called `name_2` keeps its name, wherever it stands.
  const taken = new Set(names);
  const seen = new Set<string>();
  return names.map((name) => {
    let key = name;
    // Bounded: one of the first `names.length + 1` numbers is free.
    for (let number = 2; seen.has(key) || (key !== name && taken.has(key)); number++) {
      key = `${name}_${number}`;
    }
    seen.add(key);
    return key;
  });
}

function formatValue(value: SqlValue, { int, blob }: ResultStyle): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "bigint":
      return int === "number" || (int === "safe" && isSafe(value)) ? `${value}` : `"${value}"`;
    case "number":
      return formatReal(value);
    default:
      return value === null ? "null" : formatBlob(value, blob);
  }
}

/** A REAL always has a fraction or an exponent, so that it differs from an INTEGER. */
function formatReal(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "9e999";
  if (value === Number.NEGATIVE_INFINITY) return "-9e999";
  // SQLite stores NaN as NULL.
  if (Number.isNaN(value)) return "null";
  const text = Object.is(value, -0) ? "-0" : String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

function formatBlob(bytes: Uint8Array, mode: ResultStyle["blob"]): string {
  if (mode === "hex") return `{"hex":"${encodeHex(bytes)}"}`;
  if (mode === "omit") return `{"blob_bytes":${bytes.length}}`;
  return `{"base64":"${encodeBase64(bytes)}"}`;
}

function isSafe(value: bigint): boolean {
  return value <= SAFE && value >= -SAFE;
}
