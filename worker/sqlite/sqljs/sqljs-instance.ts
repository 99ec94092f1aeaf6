import type {
  ConnectionHost,
  DatabaseHandle,
  Prepared,
  PrivateStack,
  ReadableFile,
  SqliteBuild,
  SqliteInstance,
  StatementHandle,
} from "../build.ts";
import { outOfMemory } from "../query-error.ts";
import type { SqlValue } from "../values.ts";
import { CALIBRATION } from "./calibration.ts";
import { type CFunctions, startModules } from "./start-modules.ts";
import type { Memory } from "./memory.ts";
import { SystemCalls } from "./system-calls.ts";
import { bindValue, readColumn } from "./sqljs-values.ts";

const { db: DB, statement: STATEMENT } = CALIBRATION.offsets;

/** The worst statement that SQLite's limits let compile uses less than half of it. */
const STACK_BYTES = 256 * 1024;
const CANARY_BYTES = 64;
const CANARY = 0xa5;
/** What an unused part of a stack holds, so that its use can be measured. */
const UNUSED = 0x5a;

const STEPS_PER_TICK = 1_000;
/** VM steps, in ticks, after which a query lets others run: some 10 ms. */
const REST_TICKS = 250;

/** The four words that `entry.wat` counts VM steps in. */
const BUDGET_BYTES = 16;
/** Room for the two pointers that SQLite gives back. */
const OUT_BYTES = 8;

/** What the host knows of one open connection. */
interface Connection {
  readonly path: string;
  readonly budget: number;
  host: ConnectionHost | undefined;
}

class SqljsInstance implements SqliteInstance {
  readonly #system = new SystemCalls();
  readonly #memory: Memory;
  readonly #c: CFunctions;
  readonly #connections = new Map<number, Connection>();
  readonly #budgets = new Map<number, Connection>();
  readonly #rows = new Map<number, () => boolean>();
  readonly #callbacks: { readonly authorize: number; readonly progress: number };
  #nextPath = 1;
  #retired: Error | undefined;

  constructor() {
    const { memory, functions, callbacks } = startModules(this.#system, {
      row: (statement) => this.#rows.get(statement)?.() !== false,
      authorize: (connection, action, first, second) =>
        this.#connections.get(connection)?.host?.authorize({
          action,
          first: this.#memory.cString(first) ?? null,
          second: this.#memory.cString(second) ?? null,
        }) ?? 1,
      rest: (budget) => this.#rest(budget),
      resume: () => {
        if (this.#retired !== undefined) throw this.#retired;
      },
    });
    this.#memory = memory;
    this.#c = functions;
    this.#callbacks = callbacks;
  }

  get memoryBytes(): number {
    return this.#memory.sizeBytes;
  }

  retire(error: Error): void {
    this.#retired ??= error;
  }

  createStack(): PrivateStack {
    const base = this.#allocate(STACK_BYTES + CANARY_BYTES);
    const bytes = this.#memory.bytes;
    bytes.fill(CANARY, base, base + CANARY_BYTES);
    bytes.fill(UNUSED, base + CANARY_BYTES, base + CANARY_BYTES + STACK_BYTES);
    // The C ABI wants the stack aligned to 16 bytes.
    return { base, top: (base + CANARY_BYTES + STACK_BYTES) & ~15 };
  }

  isStackIntact({ base }: PrivateStack): boolean {
    return this.#memory.bytes.subarray(base, base + CANARY_BYTES).every((byte) => byte === CANARY);
  }

  stackBytesUsed({ base, top }: PrivateStack): number {
    const stack = this.#memory.bytes.subarray(base + CANARY_BYTES, top);
    const deepest = stack.findIndex((byte) => byte !== UNUSED);
    return deepest < 0 ? 0 : stack.length - deepest;
  }

  async open(
    stack: PrivateStack,
    file: ReadableFile,
  ): Promise<{ code: number; db: DatabaseHandle }> {
    const path = `/database-${this.#nextPath++}`;
    const name = this.#memory.encode(`${path}\0`);
    // One block, so that nothing is left behind where there is no memory for all of it.
    const budget = this.#allocate(BUDGET_BYTES + OUT_BYTES + name.length);
    const out = budget + BUDGET_BYTES;
    this.#memory.bytes.set(name, out + OUT_BYTES);
    this.#system.register(path, file);
    const code = await this.#c.open(stack.top, out + OUT_BYTES, out);
    const db = this.#memory.word(out);
    const connection = { path, budget, host: undefined };
    this.#connections.set(db, connection);
    this.#budgets.set(budget, connection);
    return { code, db: db as DatabaseHandle };
  }

  close(db: DatabaseHandle): void {
    this.#c.close(db);
    const connection = this.#connections.get(db);
    if (connection === undefined) return;
    this.#connections.delete(db);
    this.#budgets.delete(connection.budget);
    this.#c.free(connection.budget);
    this.#system.unregister(connection.path);
  }

  setLimits(db: DatabaseHandle, limits: ReadonlyMap<number, number>): void {
    for (const [limit, value] of limits) this.#memory.setWord(db + DB.limits + limit * 4, value);
  }

  setHost(db: DatabaseHandle, host: ConnectionHost): void {
    const connection = this.#connections.get(db);
    if (connection === undefined) throw new Error("no such connection");
    connection.host = host;
    const memory = this.#memory;
    memory.setWord(db + DB.xAuth, this.#callbacks.authorize);
    memory.setWord(db + DB.xAuth + 4, db);
    this.setStepsMax(db, 0xffff_ffff);
    memory.setWord(db + DB.xProgress, this.#callbacks.progress);
    memory.setWord(db + DB.xProgress + 4, connection.budget);
    memory.setWord(db + DB.xProgress + 8, STEPS_PER_TICK);
  }

  setStepsMax(db: DatabaseHandle, steps: number): void {
    const budget = this.#budgetOf(db);
    this.#memory.setWord(budget, 0);
    this.#memory.setWord(budget + 4, 0);
    this.#memory.setWord(budget + 8, Math.min(Math.ceil(steps / STEPS_PER_TICK), 0xffff_fffe));
    this.#memory.setWord(budget + 12, REST_TICKS);
  }

  stepsUsed(db: DatabaseHandle): number {
    return this.#memory.word(this.#budgetOf(db) + 4) * STEPS_PER_TICK;
  }

  async prepare(stack: PrivateStack, db: DatabaseHandle, sql: Uint8Array): Promise<Prepared> {
    const out = this.#allocate(OUT_BYTES + sql.length);
    const text = out + OUT_BYTES;
    this.#memory.setLong(out, 0n);
    this.#memory.bytes.set(sql, text);
    const code = await this.#c.prepare(stack.top, db, text, sql.length, out, out + 4);
    const statement = this.#memory.word(out);
    const tail = this.#memory.word(out + 4);
    this.#c.free(out);
    return {
      code,
      statement: statement === 0 ? undefined : (statement as StatementHandle),
      usedBytes: tail === 0 ? 0 : tail - text,
    };
  }

  async step(
    stack: PrivateStack,
    statement: StatementHandle,
    onRow: () => boolean,
  ): Promise<number> {
    this.#rows.set(statement, onRow);
    try {
      return await this.#c.step(stack.top, statement);
    } finally {
      this.#rows.delete(statement);
    }
  }

  finalize(statement: StatementHandle): void {
    this.#c.finalize(statement);
  }

  reset(statement: StatementHandle): void {
    this.#c.reset(statement);
    this.#c.clearBindings(statement);
  }

  bind(statement: StatementHandle, index: number, value: SqlValue): number {
    return bindValue(this.#c, this.#memory, { statement, index, value });
  }

  parameterIndex(statement: StatementHandle, name: string): number {
    const bytes = this.#memory.encode(`${name}\0`);
    const text = this.#allocate(bytes.length);
    this.#memory.bytes.set(bytes, text);
    const index = this.#c.bindParameterIndex(statement, text);
    this.#c.free(text);
    return index;
  }

  columnCount(statement: StatementHandle): number {
    return this.#c.columnCount(statement);
  }

  columnName(statement: StatementHandle, index: number): string {
    return this.#memory.cString(this.#c.columnName(statement, index)) ?? "";
  }

  columnDecltype(statement: StatementHandle, index: number): string | null {
    // sqlite3_column_decltype is not exported. It gives back the text of a value that lies among the
    // column names: first all names, then all declared types.
    const names = this.#memory.word(statement + STATEMENT.columnNames);
    // EXPLAIN has more columns than names, and none of them here.
    if (names === 0 || this.#c.valueText(names) !== this.#c.columnName(statement, 0)) return null;
    const cell = names + (this.#c.columnCount(statement) + index) * CALIBRATION.offsets.memBytes;
    return this.#memory.cString(this.#c.valueText(cell)) ?? null;
  }

  columnValue(statement: StatementHandle, index: number): SqlValue {
    return readColumn(this.#c, this.#memory, statement, index);
  }

  errorMessage(db: DatabaseHandle): string {
    return this.#memory.cString(this.#c.errmsg(db)) ?? "";
  }

  errorCode(db: DatabaseHandle): number {
    return this.#memory.word(db + DB.errCode);
  }

  errorOffset(db: DatabaseHandle): number {
    return this.#memory.view.getInt32(db + DB.errByteOffset, true);
  }

  async #rest(budget: number): Promise<number> {
    const interrupted = (await this.#budgets.get(budget)?.host?.rest()) ?? true;
    this.#memory.setWord(budget, interrupted ? 1 : 0);
    this.#memory.setWord(budget + 12, this.#memory.word(budget + 4) + REST_TICKS);
    return interrupted ? 1 : 0;
  }

  #budgetOf(db: DatabaseHandle): number {
    const connection = this.#connections.get(db);
    if (connection === undefined) throw new Error("no such connection");
    return connection.budget;
  }

  #allocate(bytes: number): number {
    const address = this.#c.malloc(bytes);
    if (address === 0) throw outOfMemory();
    return address;
  }
}

/** Stock sql.js: its wasm as it was published, without its JavaScript. */
export const sqljsBuild: SqliteBuild = {
  name: "sqljs",
  instantiate: () => new SqljsInstance(),
};
