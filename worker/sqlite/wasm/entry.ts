import type { Call, CFunctions, CSymbol } from "./c-functions.ts";
import entryModule from "./entry.wasm";
import { promising, suspending } from "./jspi.ts";

/** What SQLite calls while it runs. But for `resume` none may throw: C cannot clean up after it. */
export interface ModuleHost {
  row(statement: number): boolean;
  authorize(connection: number, action: number, first: number, second: number): number;
  rest(budget: number): Promise<number>;
  /** Whether the instance's memory may grow to so many bytes. */
  mayGrowTo(bytes: number): boolean;
  /** Called before suspended wasm goes on; throws where it must not. */
  resume(): void;
}

/** What a build needs to start `entry.wat` above its SQLite. */
export interface EntryOptions {
  readonly memory: WebAssembly.Memory;
  /** SQLite's own table of functions. */
  readonly table: WebAssembly.Table;
  /** Finds a C function of the build. */
  readonly c: (symbol: CSymbol) => Call;
  readonly host: ModuleHost;
}

export interface StartedEntry {
  readonly functions: CFunctions;
  /** Indexes in SQLite's function table. */
  readonly callbacks: { readonly authorize: number; readonly progress: number };
  /** Leaves a query's private stack for the host's own, and gives back where it was. */
  readonly leave: Call;
}

/** Starts the module through which the host enters SQLite, on a private stack for each query. */
export function startEntry({ memory, table, c, host }: EntryOptions): StartedEntry {
  const { exports } = new WebAssembly.Instance(entryModule, {
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
  (exports["initialize"] as Call)();
  const callbacks = {
    authorize: addFunction(table, exports["authorize"]),
    progress: addFunction(table, exports["progress"]),
  };
  return { functions: bindFunctions(c, exports), callbacks, leave: exports["leave"] as Call };
}

/** Makes an export of a module one that SQLite can call. Answers what C takes for its address. */
export function addFunction(table: WebAssembly.Table, exported: unknown): number {
  const index = table.grow(1);
  table.set(index, exported);
  return index;
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
    bindParameterIndex: c("sqlite3_bind_parameter_index"),
    columnCount: c("sqlite3_column_count"),
    columnName: c("sqlite3_column_name"),
    columnType: c("sqlite3_column_type"),
    columnDouble: c("sqlite3_column_double"),
    columnText: c("sqlite3_column_text"),
    columnBlob: c("sqlite3_column_blob"),
    columnBytes: c("sqlite3_column_bytes"),
  };
}
