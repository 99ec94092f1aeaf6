import type { StatementHandle } from "../build.ts";
import { SQLITE_NOMEM } from "../query-error.ts";
import type { SqlValue } from "../values.ts";
import { CALIBRATION } from "./calibration.ts";
import type { Memory } from "./memory.ts";
import type { CFunctions } from "./start-modules.ts";

const SQLITE_OK = 0;
const SQLITE_INTEGER = 1;
const SQLITE_FLOAT = 2;
const SQLITE_TEXT = 3;
const SQLITE_BLOB = 4;

/** SQLite copies the bytes before the call returns. */
const SQLITE_TRANSIENT = -1;

/** Binds one value exactly as it is: a bigint as INTEGER, a number as REAL. */
export function bindValue(
  c: CFunctions,
  memory: Memory,
  { statement, index, value }: { statement: StatementHandle; index: number; value: SqlValue },
): number {
  if (value === null) {
    // sql.js exports no sqlite3_bind_null; a null pointer binds NULL.
    return c.bindText(statement, index, 0, 0, SQLITE_TRANSIENT);
  }
  if (typeof value === "bigint") return bindInteger(c, memory, { statement, index, value });
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

/**
 * sql.js exports no sqlite3_bind_int64. Binding an int32 makes the parameter an INTEGER; its 64 bits
 * are the first field of the parameter's cell.
 */
function bindInteger(
  c: CFunctions,
  memory: Memory,
  { statement, index, value }: { statement: StatementHandle; index: number; value: bigint },
): number {
  const code = c.bindInt(statement, index, 0);
  if (code !== SQLITE_OK) return code;
  const { memBytes, statement: offsets } = CALIBRATION.offsets;
  const cells = memory.word(statement + offsets.variables);
  memory.setLong(cells + (index - 1) * memBytes, value);
  return SQLITE_OK;
}

/** The value of one column of the current row, copied out of the instance's memory. */
export function readColumn(
  c: CFunctions,
  memory: Memory,
  statement: StatementHandle,
  index: number,
): SqlValue {
  switch (c.columnType(statement, index)) {
    case SQLITE_INTEGER: {
      const value = c.columnDouble(statement, index);
      if (Number.isSafeInteger(value)) return BigInt(value);
      // sql.js exports no sqlite3_column_int64; the decimal digits are exact.
      return BigInt(memory.cString(c.columnText(statement, index)) ?? "");
    }
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
