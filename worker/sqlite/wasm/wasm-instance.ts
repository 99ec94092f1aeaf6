import type {
  AuthorizerQuestion,
  ConnectionHost,
  DatabaseHandle,
  Prepared,
  PrivateStack,
  ReadableFile,
  SqliteInstance,
  StatementHandle,
} from "../build.ts";
import { outOfMemory } from "../query-error.ts";
import type { SqlValue } from "../values.ts";
import type { CFunctions } from "./c-functions.ts";
import type { ModuleHost, StartedEntry } from "./entry.ts";
import type { Memory } from "./memory.ts";
import { deepestUse, isCanaryAlive, layOutStack, STACK_BLOCK_BYTES } from "./private-stacks.ts";
import { bindValue, type Integers, readColumn, type ValueAccess } from "./values.ts";

/** Steps of SQLite's machine between two calls of `entry.wat`'s progress handler. */
export const STEPS_PER_TICK = 1_000;
/** VM steps, in ticks, after which a query lets others run: some 10 ms. */
const REST_TICKS = 250;

/** The four words that `entry.wat` counts VM steps in. */
const BUDGET_BYTES = 16;
/** Room for the two pointers that SQLite gives back. */
const OUT_BYTES = 8;

/** What the host knows of one open connection. */
interface Connection {
  readonly path: string;
  /** Address of the words that its VM steps are counted in. */
  readonly budget: number;
  host: ConnectionHost | undefined;
}

/** The files that the instance's SQLite can open, by their paths. */
export interface FileRegistry {
  register(path: string, file: ReadableFile): void;
  unregister(path: string): void;
}

/** A build that has been started. */
export interface StartedBuild<Functions extends CFunctions> {
  readonly memory: Memory;
  readonly functions: Functions;
  readonly files: FileRegistry;
  readonly callbacks: StartedEntry["callbacks"];
}

/**
 * One instance of SQLite in wasm, as far as all builds are alike. A build says how its callbacks and
 * limits are set, and how it reaches what not all of them export.
 */
export abstract class WasmInstance<Functions extends CFunctions>
  implements SqliteInstance, Integers
{
  protected readonly memory: Memory;
  protected readonly c: Functions;
  protected readonly callbacks: StartedEntry["callbacks"];
  readonly #files: FileRegistry;
  readonly #values: ValueAccess;
  readonly #connections = new Map<number, Connection>();
  readonly #budgets = new Map<number, Connection>();
  readonly #rows = new Map<number, () => boolean>();
  #nextPath = 1;
  #retired: Error | undefined;

  constructor(
    start: (host: ModuleHost) => StartedBuild<Functions>,
    mayGrowTo: (bytes: number) => boolean,
  ) {
    const { memory, functions, files, callbacks } = start({
      row: (statement) => this.#rows.get(statement)?.() !== false,
      authorize: (db, action, first, second) => {
        const host = this.#connections.get(db)?.host;
        return host?.authorize(this.#question(db, { action, first, second })) ?? 1;
      },
      rest: (budget) => this.#rest(budget),
      mayGrowTo,
      resume: () => {
        if (this.#retired !== undefined) throw this.#retired;
      },
    });
    this.memory = memory;
    this.c = functions;
    this.callbacks = callbacks;
    this.#files = files;
    this.#values = { c: functions, memory, integers: this };
  }

  abstract setLimits(db: DatabaseHandle, limits: ReadonlyMap<number, number>): void;
  abstract columnDecltype(statement: StatementHandle, index: number): string | null;
  abstract errorCode(db: DatabaseHandle): number;
  abstract errorOffset(db: DatabaseHandle): number;
  abstract bindInteger(statement: StatementHandle, index: number, value: bigint): number;
  abstract readInteger(statement: StatementHandle, index: number): bigint;
  /** Sets what a connection of this build must have before anything is read through it. */
  protected abstract configure(db: DatabaseHandle): void;
  /** Has SQLite call the authorizer with `db`, and the progress handler with `budget`. */
  protected abstract setCallbacks(db: DatabaseHandle, budget: number): void;
  /** Says whether it is a virtual table's constructor that asks: the text is then the module's own. */
  protected abstract isInConstructor(db: number): boolean;

  get memoryBytes(): number {
    return this.memory.sizeBytes;
  }

  retire(error: Error): void {
    this.#retired ??= error;
  }

  createStack(): PrivateStack {
    return layOutStack(this.memory, this.#allocate(STACK_BLOCK_BYTES));
  }

  isStackIntact(stack: PrivateStack): boolean {
    return isCanaryAlive(this.memory, stack);
  }

  stackBytesUsed(stack: PrivateStack): number {
    return deepestUse(this.memory, stack);
  }

  async open(
    stack: PrivateStack,
    file: ReadableFile,
  ): Promise<{ code: number; db: DatabaseHandle }> {
    const path = `/database-${this.#nextPath++}`;
    const name = this.memory.encode(`${path}\0`);
    // One block, so that nothing is left behind where there is no memory for all of it.
    const budget = this.#allocate(BUDGET_BYTES + OUT_BYTES + name.length);
    const out = budget + BUDGET_BYTES;
    this.memory.bytes.set(name, out + OUT_BYTES);
    this.#files.register(path, file);
    const code = await this.c.open(stack.top, out + OUT_BYTES, out);
    const db = this.memory.word(out) as DatabaseHandle;
    const connection = { path, budget, host: undefined };
    this.#connections.set(db, connection);
    this.#budgets.set(budget, connection);
    if (code === 0) this.configure(db);
    return { code, db };
  }

  close(db: DatabaseHandle): void {
    this.c.close(db);
    const connection = this.#connections.get(db);
    if (connection === undefined) return;
    this.#connections.delete(db);
    this.#budgets.delete(connection.budget);
    this.c.free(connection.budget);
    this.#files.unregister(connection.path);
  }

  setHost(db: DatabaseHandle, host: ConnectionHost): void {
    const connection = this.#connectionOf(db);
    connection.host = host;
    this.setStepsMax(db, 0xffff_ffff);
    this.setCallbacks(db, connection.budget);
  }

  setStepsMax(db: DatabaseHandle, steps: number): void {
    const { budget } = this.#connectionOf(db);
    this.memory.setWord(budget, 0);
    this.memory.setWord(budget + 4, 0);
    this.memory.setWord(budget + 8, Math.min(Math.ceil(steps / STEPS_PER_TICK), 0xffff_fffe));
    this.memory.setWord(budget + 12, REST_TICKS);
  }

  stepsUsed(db: DatabaseHandle): number {
    return this.memory.word(this.#connectionOf(db).budget + 4) * STEPS_PER_TICK;
  }

  async prepare(stack: PrivateStack, db: DatabaseHandle, sql: Uint8Array): Promise<Prepared> {
    const out = this.#allocate(OUT_BYTES + sql.length);
    const text = out + OUT_BYTES;
    this.memory.setLong(out, 0n);
    this.memory.bytes.set(sql, text);
    const code = await this.c.prepare(stack.top, db, text, sql.length, out, out + 4);
    const statement = this.memory.word(out);
    const tail = this.memory.word(out + 4);
    this.c.free(out);
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
      return await this.c.step(stack.top, statement);
    } finally {
      this.#rows.delete(statement);
    }
  }

  finalize(statement: StatementHandle): void {
    this.c.finalize(statement);
  }

  reset(statement: StatementHandle): void {
    this.c.reset(statement);
    this.c.clearBindings(statement);
  }

  bind(statement: StatementHandle, index: number, value: SqlValue): number {
    return bindValue(this.#values, { statement, index }, value);
  }

  parameterIndex(statement: StatementHandle, name: string): number {
    const bytes = this.memory.encode(`${name}\0`);
    const text = this.#allocate(bytes.length);
    this.memory.bytes.set(bytes, text);
    const index = this.c.bindParameterIndex(statement, text);
    this.c.free(text);
    return index;
  }

  columnCount(statement: StatementHandle): number {
    return this.c.columnCount(statement);
  }

  columnName(statement: StatementHandle, index: number): string {
    return this.memory.cString(this.c.columnName(statement, index)) ?? "";
  }

  columnValue(statement: StatementHandle, index: number): SqlValue {
    return readColumn(this.#values, statement, index);
  }

  errorMessage(db: DatabaseHandle): string {
    return this.memory.cString(this.c.errmsg(db)) ?? "";
  }

  #question(
    db: number,
    { action, first, second }: { action: number; first: number; second: number },
  ): AuthorizerQuestion {
    const { memory } = this;
    return {
      action,
      first: memory.cString(first) ?? null,
      second: memory.cString(second) ?? null,
      isInConstructor: () => this.isInConstructor(db),
    };
  }

  async #rest(budget: number): Promise<number> {
    const interrupted = (await this.#budgets.get(budget)?.host?.rest()) ?? true;
    this.memory.setWord(budget, interrupted ? 1 : 0);
    this.memory.setWord(budget + 12, this.memory.word(budget + 4) + REST_TICKS);
    return interrupted ? 1 : 0;
  }

  #connectionOf(db: DatabaseHandle): Connection {
    const connection = this.#connections.get(db);
    if (connection === undefined) throw new Error("no such connection");
    return connection;
  }

  #allocate(bytes: number): number {
    const address = this.c.malloc(bytes);
    if (address === 0) throw outOfMemory();
    return address;
  }
}
