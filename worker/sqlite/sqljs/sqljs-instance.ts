import type { DatabaseHandle, SqliteBuild, StatementHandle } from "../build.ts";
import { STEPS_PER_TICK, WasmInstance } from "../wasm/wasm-instance.ts";
import { CALIBRATION } from "./calibration.ts";
import { type SqljsFunctions, startModules } from "./start-modules.ts";

const { memBytes: MEM_BYTES, db: DB, statement: STATEMENT } = CALIBRATION.offsets;

const SQLITE_OK = 0;

/** What sql.js exports no function for lies in the fields that the calibration has found. */
class SqljsInstance extends WasmInstance<SqljsFunctions> {
  setLimits(db: DatabaseHandle, limits: ReadonlyMap<number, number>): void {
    for (const [limit, value] of limits) this.memory.setWord(db + DB.limits + limit * 4, value);
  }

  columnDecltype(statement: StatementHandle, index: number): string | null {
    // sqlite3_column_decltype is not exported. It gives back the text of a value that lies among the
    // column names: first all names, then all declared types.
    const names = this.memory.word(statement + STATEMENT.columnNames);
    // EXPLAIN has more columns than names, and none of them here.
    if (names === 0 || this.c.valueText(names) !== this.c.columnName(statement, 0)) return null;
    const cell = names + (this.c.columnCount(statement) + index) * MEM_BYTES;
    return this.memory.cString(this.c.valueText(cell)) ?? null;
  }

  errorCode(db: DatabaseHandle): number {
    return this.memory.word(db + DB.errCode);
  }

  errorOffset(db: DatabaseHandle): number {
    return this.memory.view.getInt32(db + DB.errByteOffset, true);
  }

  /**
   * sql.js exports no sqlite3_bind_int64. Binding an int32 makes the parameter an INTEGER; its 64 bits
   * are the first field of the parameter's cell.
   */
  bindInteger(statement: StatementHandle, index: number, value: bigint): number {
    const code = this.c.bindInt(statement, index, 0);
    if (code !== SQLITE_OK) return code;
    const cells = this.memory.word(statement + STATEMENT.variables);
    this.memory.setLong(cells + (index - 1) * MEM_BYTES, value);
    return SQLITE_OK;
  }

  readInteger(statement: StatementHandle, index: number): bigint {
    const value = this.c.columnDouble(statement, index);
    if (Number.isSafeInteger(value)) return BigInt(value);
    // sql.js exports no sqlite3_column_int64; the decimal digits are exact.
    return BigInt(this.memory.cString(this.c.columnText(statement, index)) ?? "");
  }

  protected configure(): void {}

  protected setCallbacks(db: DatabaseHandle, budget: number): void {
    const { memory } = this;
    memory.setWord(db + DB.xAuth, this.callbacks.authorize);
    memory.setWord(db + DB.xAuth + 4, db);
    memory.setWord(db + DB.xProgress, this.callbacks.progress);
    memory.setWord(db + DB.xProgress + 4, budget);
    memory.setWord(db + DB.xProgress + 8, STEPS_PER_TICK);
  }

  /** None of its modules prepares a statement that writes when a table is opened. */
  protected isInConstructor(): boolean {
    return false;
  }
}

/** Stock sql.js: its wasm as it was published, without its JavaScript. */
export const sqljsBuild: SqliteBuild = {
  name: "sqljs",
  modules: new Set(["fts3", "fts3tokenize", "fts4", "fts4aux"]),
  readsUtf16: true,
  instantiate: (mayGrowTo) => new SqljsInstance(startModules, mayGrowTo),
};
