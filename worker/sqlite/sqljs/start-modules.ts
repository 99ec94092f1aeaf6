import type { Call, CFunctions, CSymbol } from "../wasm/c-functions.ts";
import { type ModuleHost, startEntry } from "../wasm/entry.ts";
import { suspending } from "../wasm/jspi.ts";
import { Memory } from "../wasm/memory.ts";
import type { StartedBuild } from "../wasm/wasm-instance.ts";
import { CALIBRATION } from "./calibration.ts";
import { pageFaultModule, sqliteModule } from "./modules.ts";
import { SystemCalls } from "./system-calls.ts";

/** The C functions, and two that stand in for some that sql.js does not export. */
export interface SqljsFunctions extends CFunctions {
  readonly bindInt: Call;
  readonly valueText: Call;
}

/** Starts SQLite between the page fault shim below it and the entry module above it. */
export function startModules(host: ModuleHost): StartedBuild<SqljsFunctions> {
  const system = new SystemCalls((bytes) => host.mayGrowTo(bytes));
  /** The shim comes first and SQLite last: what lies between is filled in when it is there. */
  const stack: { leave: Call; enter: Call } = { leave: notStarted, enter: notStarted };
  const sqlite = startSqlite(system, host, stack).exports;
  const c = (symbol: keyof typeof CALIBRATION.exports): Call =>
    sqlite[CALIBRATION.exports[symbol]] as Call;
  const wasmMemory = sqlite[CALIBRATION.exports.memory] as WebAssembly.Memory;
  const table = sqlite[CALIBRATION.exports.table] as WebAssembly.Table;
  const memory = new Memory(wasmMemory);
  system.attach(memory);
  c("initialize")();
  const byName = (symbol: CSymbol): Call => c(symbol);
  const entry = startEntry({ memory: wasmMemory, table, c: byName, host });
  stack.leave = entry.leave;
  stack.enter = c("stackRestore");
  const bindInt = c("sqlite3_bind_int");
  const valueText = c("sqlite3_value_text");
  return {
    memory,
    files: system,
    functions: { ...entry.functions, bindInt, valueText },
    callbacks: entry.callbacks,
  };
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
