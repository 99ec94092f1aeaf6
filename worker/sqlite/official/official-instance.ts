import type { DatabaseHandle, SqliteBuild, StatementHandle } from "../build.ts";
import { STEPS_PER_TICK, WasmInstance } from "../wasm/wasm-instance.ts";
import { type OfficialFunctions, startModules } from "./start-modules.ts";

const SQLITE_OK = 0;

/** Of sqlite3_db_config: shadow tables are no query's to write, and no pragma's to corrupt. */
const DBCONFIG_DEFENSIVE = 1010;
/** A text in double quotes that names no column is a text, in queries and in schemas, as in sql.js. */
const DBCONFIG_DQS_DML = 1013;
const DBCONFIG_DQS_DDL = 1014;

/** Of sqlite3_vtab_config; both R*Tree and FTS5 set it in their constructors anyway. */
const VTAB_CONSTRAINT_SUPPORT = 1;

/** The modules that are wanted; all others (sqlite_dbpage, dbstat, bytecode, ...) are dropped. */
const MODULES = ["fts5", "fts5vocab", "rtree", "rtree_i32"];

/** All through the public API: nothing here belongs to one file of wasm. */
class OfficialInstance extends WasmInstance<OfficialFunctions> {
  /** A list of names that ends with a null pointer, as C has it. */
  readonly #modules = this.#listModules();

  setLimits(db: DatabaseHandle, limits: ReadonlyMap<number, number>): void {
    for (const [limit, value] of limits) this.c.limit(db, limit, value);
  }

  columnDecltype(statement: StatementHandle, index: number): string | null {
    return this.memory.cString(this.c.columnDecltype(statement, index)) ?? null;
  }

  errorCode(db: DatabaseHandle): number {
    return this.c.extendedErrcode(db);
  }

  errorOffset(db: DatabaseHandle): number {
    return this.c.errorOffset(db);
  }

  bindInteger(statement: StatementHandle, index: number, value: bigint): number {
    return this.c.bindInt64(statement, index, value);
  }

  readInteger(statement: StatementHandle, index: number): bigint {
    return this.c.columnInt64(statement, index);
  }

  protected configure(db: DatabaseHandle): void {
    for (const option of [DBCONFIG_DEFENSIVE, DBCONFIG_DQS_DML, DBCONFIG_DQS_DDL]) {
      const code = this.c.dbConfig(db, option, 1, 0);
      if (code !== SQLITE_OK) throw new Error(`SQLite refuses its option ${option}: ${code}`);
    }
    this.c.dropModules(db, this.#modules);
  }

  protected setCallbacks(db: DatabaseHandle, budget: number): void {
    this.c.setAuthorizer(db, this.callbacks.authorize, db);
    this.c.progressHandler(db, STEPS_PER_TICK, this.callbacks.progress, budget);
  }

  /** Only a constructor may configure its table: anybody else is told SQLITE_MISUSE. */
  protected isInConstructor(db: number): boolean {
    return this.c.vtabConfig(db, VTAB_CONSTRAINT_SUPPORT, 1) === SQLITE_OK;
  }

  #listModules(): number {
    const names = this.memory.encode(MODULES.map((name) => `${name}\0`).join(""));
    const list = this.c.malloc((MODULES.length + 1) * 4 + names.length);
    if (list === 0) throw new Error("there is no memory to start SQLite in");
    const text = list + (MODULES.length + 1) * 4;
    this.memory.bytes.set(names, text);
    let at = text;
    for (const [index, name] of MODULES.entries()) {
      this.memory.setWord(list + index * 4, at);
      at += name.length + 1;
    }
    this.memory.setWord(list + MODULES.length * 4, 0);
    return list;
  }
}

/** SQLite's own build for the web: its wasm as it was published, without its JavaScript. */
export const officialBuild: SqliteBuild = {
  name: "official",
  modules: new Set(MODULES),
  readsUtf16: false,
  instantiate: (mayGrowTo) => new OfficialInstance(startModules, mayGrowTo),
};
