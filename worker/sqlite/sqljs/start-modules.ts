import { CALIBRATION } from "./calibration.ts";
import { promising, suspending } from "./jspi.ts";
import { Memory } from "./memory.ts";
import { entryModule, pageFaultModule, sqliteModule } from "./modules.ts";
import type { SystemCalls } from "./system-calls.ts";

/** What SQLite calls while it runs. But for `resume` none may throw: C cannot clean up after it. */
export interface ModuleHost {
  row(statement: number): boolean;
  authorize(connection: number, action: number, first: number, second: number): number;
  rest(budget: number): Promise<number>;
  /** Called before suspended wasm goes on; throws where it must not. */
  resume(): void;
}

type Call = (...args: number[]) => number;

/** The C functions; the first three on a private stack, and able to suspend. */
export interface CFunctions {
  readonly open: (stack: number, name: number, out: number) => Promise<number>;
  readonly prepare: (
    stack: number,
    db: number,
    sql: number,
    bytes: number,
    out: number,
    tail: number,
  ) => Promise<number>;
  readonly step: (stack: number, statement: number) => Promise<number>;
  readonly malloc: Call;
  readonly free: Call;
  readonly close: Call;
  readonly finalize: Call;
  readonly reset: Call;
  readonly clearBindings: Call;
  readonly errmsg: Call;
  readonly bindText: Call;
  readonly bindBlob: Call;
  readonly bindDouble: Call;
  readonly bindInt: Call;
  readonly bindParameterIndex: Call;
  readonly columnCount: Call;
  readonly columnName: Call;
  readonly columnType: Call;
  readonly columnDouble: Call;
  readonly columnText: Call;
  readonly columnBlob: Call;
  readonly columnBytes: Call;
  readonly valueText: Call;
}

export interface StartedModules {
  readonly memory: Memory;
  readonly functions: CFunctions;
  /** Indexes in SQLite's function table. */
  readonly callbacks: { readonly authorize: number; readonly progress: number };
}

type CSymbol = keyof typeof CALIBRATION.exports;

/** Starts SQLite between the page fault shim below it and the entry module above it. */
export function startModules(system: SystemCalls, host: ModuleHost): StartedModules {
  /** The shim comes first and SQLite last: what lies between is filled in when it is there. */
  const stack: { leave: Call; enter: Call } = { leave: notStarted, enter: notStarted };
  const sqlite = startSqlite(system, host, stack).exports;
  const c = (symbol: CSymbol): Call => sqlite[CALIBRATION.exports[symbol]] as Call;
  const wasmMemory = sqlite[CALIBRATION.exports.memory] as WebAssembly.Memory;
  const memory = new Memory(wasmMemory);
  system.attach(memory);
  c("initialize")();
  const entry = startEntry(wasmMemory, c, host).exports;
  stack.leave = entry["leave"] as Call;
  stack.enter = c("stackRestore");
  const table = sqlite[CALIBRATION.exports.table] as WebAssembly.Table;
  const addFunction = (name: string): number => {
    const index = table.grow(1);
    table.set(index, entry[name]);
    return index;
  };
  const callbacks = { authorize: addFunction("authorize"), progress: addFunction("progress") };
  return { memory, functions: bindFunctions(c, entry), callbacks };
}

function notStarted(): number {
  throw new Error("SQLite read a file before it was started");
}

function startSqlite(
  system: SystemCalls,
  host: ModuleHost,
  stack: { readonly leave: Call; readonly enter: Call },
): WebAssembly.Instance {
  const { importModule, imports: names } = CALIBRATION;
  const imports = system.imports(sqliteModule);
  const shim = new WebAssembly.Instance(pageFaultModule, {
    host: {
      read: imports[names.fdRead],
      leave: () => stack.leave(),
      enter: (pointer: number) => stack.enter(pointer),
      fault: suspending(async (descriptor: number) => {
        const isThere = (await system.fileOf(descriptor)?.fault()) === true;
        host.resume();
        return isThere ? 0 : 1;
      }),
    },
  });
  return new WebAssembly.Instance(sqliteModule, {
    [importModule]: { ...imports, [names.fdRead]: shim.exports["read"] },
  });
}

function startEntry(
  memory: WebAssembly.Memory,
  c: (symbol: CSymbol) => Call,
  host: ModuleHost,
): WebAssembly.Instance {
  const entry = new WebAssembly.Instance(entryModule, {
    sqlite: {
      memory,
      stackSave: c("stackSave"),
      stackRestore: c("stackRestore"),
      open: c("sqlite3_open"),
      prepare: c("sqlite3_prepare_v2"),
      step: c("sqlite3_step"),
    },
    host: {
      row: (statement: number) => (host.row(statement) ? 1 : 0),
      authorize: (connection: number, action: number, first: number, second: number) =>
        host.authorize(connection, action, first, second),
      rest: suspending(async (budget: number) => {
        const code = await host.rest(budget);
        host.resume();
        return code;
      }),
    },
  });
  (entry.exports["initialize"] as Call)();
  return entry;
}

function bindFunctions(c: (symbol: CSymbol) => Call, entry: WebAssembly.Exports): CFunctions {
  return {
    open: promising(entry["open"]),
    prepare: promising(entry["prepare"]),
    step: promising(entry["step"]),
    malloc: c("malloc"),
    free: c("free"),
    close: c("sqlite3_close_v2"),
    finalize: c("sqlite3_finalize"),
    reset: c("sqlite3_reset"),
    clearBindings: c("sqlite3_clear_bindings"),
    errmsg: c("sqlite3_errmsg"),
    bindText: c("sqlite3_bind_text"),
    bindBlob: c("sqlite3_bind_blob"),
    bindDouble: c("sqlite3_bind_double"),
    bindInt: c("sqlite3_bind_int"),
    bindParameterIndex: c("sqlite3_bind_parameter_index"),
    columnCount: c("sqlite3_column_count"),
    columnName: c("sqlite3_column_name"),
    columnType: c("sqlite3_column_type"),
    columnDouble: c("sqlite3_column_double"),
    columnText: c("sqlite3_column_text"),
    columnBlob: c("sqlite3_column_blob"),
    columnBytes: c("sqlite3_column_bytes"),
    valueText: c("sqlite3_value_text"),
  };
}
