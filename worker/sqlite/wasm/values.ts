import type { StatementHandle } from "../build.ts";
import { SQLITE_NOMEM } from "../query-error.ts";
import type { SqlValue } from "../values.ts";
import type { CFunctions } from "./c-functions.ts";
import type { Memory } from "./memory.ts";

const SQLITE_INTEGER = 1;
const SQLITE_FLOAT = 2;
const SQLITE_TEXT = 3;
const SQLITE_BLOB = 4;

/** SQLite copies the bytes before the call returns. */
const SQLITE_TRANSIENT = -1;

/** How a build takes and gives integers of 64 bits. */
export interface Integers {
  /** Answers SQLite's code. */
  bindInteger(statement: StatementHandle, index: number, value: bigint): number;
  readInteger(statement: StatementHandle, index: number): bigint;
}

/** What values are bound and read with. */
export interface ValueAccess {
  readonly c: CFunctions;
  readonly memory: Memory;
  readonly integers: Integers;
}

/** Binds one value exactly as it is: a bigint as INTEGER, a number as REAL. Answers SQLite's code. */
export function bindValue(
  { c, memory, integers }: ValueAccess,
  { statement, index }: { readonly statement: StatementHandle; readonly index: number },
  value: SqlValue,
): number {
  // A null pointer binds NULL.
  if (value === null) return c.bindText(statement, index, 0, 0, SQLITE_TRANSIENT);
  if (typeof value === "bigint") return integers.bindInteger(statement, index, value);
  if (typeof value === "number") return c.bindDouble(statement, index, value);
  const bytes = typeof value === "string" ? memory.encode(value) : value;
  const address = c.malloc(Math.max(bytes.length, 1));
  if (address === 0) return SQLITE_NOMEM;
  memory.bytes.set(bytes, address);
  const bind = typeof value === "string" ? c.bindText : c.bindBlob;
  const code = bind(statement, index, address, bytes.length, SQLITE_TRANSIENT);
  c.free(address);
  return code;
}

/** The value of one column of the current row, copied out of the instance's memory. */
export function readColumn(
  { c, memory, integers }: ValueAccess,
  statement: StatementHandle,
  index: number,
): SqlValue {
  switch (c.columnType(statement, index)) {
    case SQLITE_INTEGER:
      return integers.readInteger(statement, index);
    case SQLITE_FLOAT:
      return c.columnDouble(statement, index);
    case SQLITE_TEXT: {
      // The text first: reading it may convert it, and the length is the converted one's.
      const address = c.columnText(statement, index);
      return memory.text(address, c.columnBytes(statement, index));
    }
    case SQLITE_BLOB: {
      const address = c.columnBlob(statement, index);
      return memory.bytes.slice(address, address + c.columnBytes(statement, index));
    }
    default:
      return null;
  }
}
