import type { Call, CFunctions, CSymbol } from "../wasm/c-functions.ts";
import { type ModuleHost, startEntry } from "../wasm/entry.ts";
import { suspending } from "../wasm/jspi.ts";
import { Memory } from "../wasm/memory.ts";
import { runtimeCalls } from "../wasm/runtime-calls.ts";
import type { StartedBuild } from "../wasm/wasm-instance.ts";
import { LentFiles } from "./lent-files.ts";
import { fileSystemModule, sqliteModule } from "./modules.ts";
import { registerFileSystem } from "./register-file-system.ts";

/** Every function of SQLite's API has its own name here; these are the ones that sql.js lacks. */
export interface OfficialFunctions extends CFunctions {
  readonly bindInt64: (statement: number, index: number, value: bigint) => number;
  readonly columnInt64: (statement: number, index: number) => bigint;
  readonly columnDecltype: Call;
  readonly extendedErrcode: Call;
  readonly errorOffset: Call;
  readonly limit: Call;
  readonly setAuthorizer: Call;
  readonly progressHandler: Call;
  /** `sqlite3_db_config` and `sqlite3_vtab_config` take a varying number of arguments: these do not. */
  readonly dbConfig: Call;
  readonly vtabConfig: Call;
  readonly dropModules: Call;
}

/** Of the memory that SQLite imports, in wasm's pages of 64 KB: what it declares. */
const MEMORY_PAGES = 128;
const MEMORY_PAGES_MAX = 32_768;

/** Emscripten's ENOSYS, as a system call gives it back and as a WASI call does. */
const ENOSYS = 52;

/** Where two C functions have other names than those of the API. */
const EXPORTS: Partial<Record<CSymbol, string>> = {
  stackSave: "emscripten_stack_get_current",
  stackRestore: "_emscripten_stack_restore",
};

/** Starts SQLite, the entry module above it, and the file system below it. */
export function startModules(host: ModuleHost): StartedBuild<OfficialFunctions> {
  const wasmMemory = new WebAssembly.Memory({ initial: MEMORY_PAGES, maximum: MEMORY_PAGES_MAX });
  const memory = new Memory(wasmMemory);
  const sqlite = new WebAssembly.Instance(sqliteModule, imports(wasmMemory, memory, host)).exports;
  const c = (symbol: string): Call => sqlite[EXPORTS[symbol as CSymbol] ?? symbol] as Call;
  c("__wasm_call_ctors")();
  const table = sqlite["__indirect_function_table"] as WebAssembly.Table;
  const entry = startEntry({ memory: wasmMemory, table, c, host });
  const files = new LentFiles(memory);
  const fileSystem = new WebAssembly.Instance(fileSystemModule, {
    sqlite: { memory: wasmMemory },
    host: {
      leave: entry.leave,
      enter: c("stackRestore"),
      open: (path: number) => files.open(path),
      close: (file: number) => files.close(file),
      read: (file: number, target: number, bytes: number, from: number) =>
        files.read(file, target, bytes, from),
      fault: suspending(async (file: number) => {
        const isThere = await files.fault(file);
        host.resume();
        return isThere ? 0 : 1;
      }),
      size: (file: number) => files.sizeBytes(file),
      now: () => Date.now(),
      random: (bytes: number, target: number) =>
        crypto.getRandomValues(memory.bytes.subarray(target, target + bytes)),
    },
  }).exports;
  registerFileSystem({ memory, table, c, fileSystem });
  return {
    memory,
    files,
    functions: { ...entry.functions, ...own(c) },
    callbacks: entry.callbacks,
  };
}

/** Every import of the module: those of the C library are answered, and all others refused. */
function imports(
  wasmMemory: WebAssembly.Memory,
  memory: Memory,
  host: ModuleHost,
): WebAssembly.Imports {
  const calls = runtimeCalls(
    () => memory,
    (bytes) => host.mayGrowTo(bytes),
  );
  const answers: Readonly<Record<string, unknown>> = {
    memory: wasmMemory,
    emscripten_date_now: calls.dateNow,
    emscripten_get_now: calls.monotonicNow,
    emscripten_get_heap_max: calls.heapBytesMax,
    emscripten_resize_heap: calls.resizeHeap,
    _localtime_js: calls.localtime,
    _tzset_js: calls.tzset,
    environ_sizes_get: calls.environSizes,
    environ_get: () => 0,
  };
  const all: Record<string, Record<string, unknown>> = {};
  for (const { module, name } of WebAssembly.Module.imports(sqliteModule)) {
    const refusal = module === "env" ? -ENOSYS : ENOSYS;
    (all[module] ??= {})[name] = answers[name] ?? (() => refusal);
  }
  return all as WebAssembly.Imports;
}

function own(c: (symbol: string) => Call): Omit<OfficialFunctions, keyof CFunctions> {
  return {
    bindInt64: c("sqlite3_bind_int64") as unknown as OfficialFunctions["bindInt64"],
    columnInt64: c("sqlite3_column_int64") as unknown as OfficialFunctions["columnInt64"],
    columnDecltype: c("sqlite3_column_decltype"),
    extendedErrcode: c("sqlite3_extended_errcode"),
    errorOffset: c("sqlite3_error_offset"),
    limit: c("sqlite3_limit"),
    setAuthorizer: c("sqlite3_set_authorizer"),
    progressHandler: c("sqlite3_progress_handler"),
    dbConfig: c("sqlite3__wasm_db_config_ip"),
    vtabConfig: c("sqlite3__wasm_vtab_config"),
    dropModules: c("sqlite3_drop_modules"),
  };
}
