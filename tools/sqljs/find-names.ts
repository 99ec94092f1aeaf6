/** Which minified name stands for what: read from sql.js's own JavaScript, which must know it too. */

/** Minified name of each import and export that the engine uses, by its own name. */
export interface SqljsNames {
  /** The module name under which sql.js's wasm imports everything. */
  readonly importModule: string;
  readonly imports: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string>>;
}

/** The C functions that the engine calls; sql.js assigns them as `_sqlite3_…=x.NAME`. */
const C_FUNCTIONS = [
  "sqlite3_open",
  "sqlite3_close_v2",
  "sqlite3_prepare_v2",
  "sqlite3_step",
  "sqlite3_reset",
  "sqlite3_finalize",
  "sqlite3_errmsg",
  "sqlite3_bind_blob",
  "sqlite3_bind_double",
  "sqlite3_bind_int",
  "sqlite3_bind_text",
  "sqlite3_bind_parameter_index",
  "sqlite3_clear_bindings",
  "sqlite3_column_count",
  "sqlite3_column_name",
  "sqlite3_column_type",
  "sqlite3_column_double",
  "sqlite3_column_text",
  "sqlite3_column_blob",
  "sqlite3_column_bytes",
  "sqlite3_value_text",
  "sqlite3_value_bytes",
  "malloc",
  "free",
] as const;

/**
 * What is in the JavaScript of each import that the engine must answer, and of no other import. All
 * that match none are refused by the engine: they create, write, map or remove something.
 */
const IMPORT_MARKS: Readonly<Record<string, readonly RegExp[]>> = {
  dateNow: [/^\(\)=>Date\.now\(\)$/],
  monotonicNow: [/^\(\)=>performance\.now\(\)$/],
  heapBytesMax: [/^\(\)=>\d{9,}$/],
  resizeHeap: [/\.grow\(/],
  localtime: [/getSeconds\(\)/],
  tzset: [/UTC/],
  environSizes: [/\.length;/, /\+1;/],
  openat: [/&64&&/],
  fdClose: [/^function\(\w\)\{try\{var (\w)=(\w+)\(\w\);\w+\(\1\);return 0\}/],
  fdRead: [/\.read\)/],
  fdSeek: [/return 22;/],
  fstat: [/^function\(\w,\w\)\{try\{var \w=\w+\(\w\),\w=\w\.node/],
  stat: [/^function\(\w,\w\)\{try\{return (\w)=\w+\(\1\),\w+\(\w,\w+\(\1\)\)/],
  lstat: [/^function\(\w,\w\)\{try\{return (\w)=\w+\(\1\),\w+\(\w,\w+\(\1,!0\)\)/],
  faccessat: [/"r"/, /"w"/, /"x"/],
  fcntl: [/case 12:/, /case 13:/],
  getcwd: [/return-68/],
};

function only<T>(found: readonly T[], what: string): T {
  const first = found[0];
  if (found.length === 1 && first !== undefined) return first;
  throw new Error(`${found.length} candidates for ${what} in this build of sql.js, not one`);
}

/** Splits the text of one object literal into its values by key; `start` is after its brace. */
function splitObject(text: string, start: number): Map<string, string> {
  const values = new Map<string, string>();
  let depth = 0;
  let from = start;
  // Bounded by the text: the object ends, or the end of the text throws.
  for (let at = start; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === '"' || char === "'" || char === "`") at = text.indexOf(char, at + 1);
    else if ("({[".includes(char)) depth++;
    else if (")]".includes(char) || (char === "}" && depth > 0)) depth--;
    else if (depth === 0 && (char === "," || char === "}")) {
      const entry = text.slice(from, at).replaceAll("\n", "");
      const colon = entry.indexOf(":");
      values.set(entry.slice(0, colon).trim(), entry.slice(colon + 1));
      if (char === "}") return values;
      from = at + 1;
    }
  }
  throw new Error("the table of imports does not end in this build of sql.js");
}

function findExports(glue: string): Record<string, string> {
  const name = (pattern: string, what: string): string =>
    only([...glue.matchAll(new RegExp(pattern, "g"))], what)[1] ?? "";
  const found: Record<string, string> = {};
  for (const symbol of C_FUNCTIONS) {
    found[symbol] = name(`\\._${symbol}=\\s*\\w+\\.([\\w$]+)[;,]`, symbol);
  }
  const restore = name("stackRestore=\\w+=>([\\w$]+)\\(\\w+\\)", "stackRestore");
  const save = name("stackSave=\\(\\)=>([\\w$]+)\\(\\)", "stackSave");
  found["stackRestore"] = name(`[;,]${restore}=\\w\\.([\\w$]+);`, "the stackRestore export");
  found["stackSave"] = name(`[;,]${save}=\\w\\.([\\w$]+);`, "the stackSave export");
  // The constructors run right before the runtime is marked as initialised.
  found["initialize"] = name("noFSInit\\|\\|.{1,40}?\\w+\\.([\\w$]+)\\(\\),", "the constructors");
  return found;
}

/** Finds the minified names in sql.js's JavaScript (`glue`) and checks them against the module. */
export function findNames(module: WebAssembly.Module, glue: string): SqljsNames {
  const imported = WebAssembly.Module.imports(module);
  const exported = WebAssembly.Module.exports(module);
  const importModule = only([...new Set(imported.map((entry) => entry.module))], "import module");
  const tableName = only(
    [...glue.matchAll(new RegExp(`[{,]${importModule}:(\\w+)\\}`, "g"))],
    "the variable of the imports",
  )[1];
  const opening = only(
    [...glue.matchAll(new RegExp(`[,; ]${tableName}=\\{`, "g"))],
    "the table of imports",
  );
  const bodies = splitObject(glue, opening.index + opening[0].length);
  const missing = imported.filter(({ name }) => !bodies.has(name)).map(({ name }) => name);
  if (missing.length > 0) throw new Error(`imports ${missing.join(", ")} are not in the table`);
  const imports: Record<string, string> = {};
  for (const [role, marks] of Object.entries(IMPORT_MARKS)) {
    const candidates = [...bodies].filter(([, body]) => marks.every((mark) => mark.test(body)));
    imports[role] = only(candidates, `the import ${role}`)[0];
  }
  const exports = findExports(glue);
  exports["memory"] = only(
    exported.filter(({ kind }) => kind === "memory"),
    "memory",
  ).name;
  exports["table"] = only(
    exported.filter(({ kind }) => kind === "table"),
    "table",
  ).name;
  for (const [symbol, name] of Object.entries(exports)) {
    if (!exported.some((entry) => entry.name === name)) throw new Error(`no export for ${symbol}`);
  }
  return { importModule, imports, exports };
}
