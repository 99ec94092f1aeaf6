/** Where the few fields lie that the engine reads or writes itself; each proven by what it does. */
import loadWabt from "wabt";
import type { SqljsNames } from "./find-names.ts";
import { ProbeInstance } from "./probe-instance.ts";

/** Bytes from the start of a struct, but for `memBytes`, which is the size of one. */
export interface SqljsOffsets {
  readonly db: Readonly<
    Record<"errCode" | "errByteOffset" | "limits" | "xAuth" | "xProgress", number>
  >;
  readonly statement: Readonly<Record<"columnNames" | "variables", number>>;
  readonly memBytes: number;
}

/** How far into a struct to look. `sqlite3` has about 500 bytes, `Vdbe` about 300, `Mem` 40. */
const STRUCT_BYTES_MAX = 600;
const MEM_BYTES_MAX = 80;

const DEFAULT_LIMITS = [1e9, 1e9, 2000, 1000, 500, 250_000_000, 1000, 10, 50_000, 32_766, 1000, 0];
const SQLITE_CONSTRAINT_PRIMARYKEY = 1555;

/** Two callbacks that count their calls at an address that SQLite does not use. */
const CALLBACKS = `(module (import "host" "call" (func $call (result i32)))
  (func (export "auth") (param i32 i32 i32 i32 i32 i32) (result i32) (call $call))
  (func (export "progress") (param i32) (result i32) (call $call)))`;

function offsets(bytes = STRUCT_BYTES_MAX): number[] {
  return Array.from({ length: bytes / 4 }, (_, index) => index * 4);
}

function only(found: readonly number[], what: string): number {
  const [first] = found;
  if (found.length === 1 && first !== undefined) return first;
  throw new Error(`${what}: found at [${found.join(", ")}], not at one place`);
}

function findErrorFields(probe: ProbeInstance): { errCode: number; errByteOffset: number } {
  const db = probe.openDatabase();
  probe.run(db, "CREATE TABLE t (a TEXT PRIMARY KEY) WITHOUT ROWID");
  probe.run(db, "INSERT INTO t VALUES ('x')");
  probe.run(db, "INSERT INTO t VALUES ('x')");
  const extended = offsets().filter((at) => probe.word(db + at) === SQLITE_CONSTRAINT_PRIMARYKEY);
  const errCode = only(extended, "errCode");
  const positions = [7, 12].map((spaces) => {
    probe.run(db, `${" ".repeat(spaces)}bogus 1`);
    return offsets().filter((at) => probe.word(db + at) === spaces);
  });
  const [first = [], second = []] = positions;
  const errByteOffset = only(
    first.filter((at) => second.includes(at)),
    "errByteOffset",
  );
  return { errCode, errByteOffset };
}

function findLimits(probe: ProbeInstance): number {
  const db = probe.openDatabase();
  const matches = (at: number): boolean =>
    DEFAULT_LIMITS.every((value, index) => probe.word(db + at + index * 4) === value);
  const at = only(offsets().filter(matches), "aLimit");
  probe.setWord(db + at + 3 * 4, 5);
  if (probe.run(db, "SELECT 1+1+1+1+1+1+1+1") === 0) throw new Error("aLimit has no effect");
  return at;
}

function findVariables(probe: ProbeInstance): { variables: number; memBytes: number } {
  // The table gives the statement a cursor and arguments too: empty arrays share one address.
  const statement = probe.prepare(probe.openDatabase(), "SELECT ?, ? FROM json_each('[]')");
  probe.call("sqlite3_bind_double", statement, 1, 1234.5);
  probe.call("sqlite3_bind_double", statement, 2, 987.25);
  const variables = only(
    offsets().filter((at) => probe.double(probe.word(statement + at)) === 1234.5),
    "aVar",
  );
  const first = probe.word(statement + variables);
  const sizes = offsets(MEM_BYTES_MAX).filter((size) => probe.double(first + size) === 987.25);
  return { variables, memBytes: only(sizes, "the size of Mem") };
}

/** A fresh instance for each try: asking a wrong address for its text may break the one asked. */
function findColumnNames(make: () => ProbeInstance, memBytes: number): number {
  const answers = (at: number): boolean => {
    const probe = make();
    const db = probe.openDatabase();
    probe.run(db, "CREATE TABLE t (first FOO, second BAR)");
    const statement = probe.prepare(db, "SELECT first, second FROM t");
    const names = probe.word(statement + at);
    const texts = [0, 1, 2, 3].map((index) => {
      try {
        return probe.text(probe.call("sqlite3_value_text", names + index * memBytes));
      } catch {
        return "";
      }
    });
    return texts.join() === "first,second,FOO,BAR";
  };
  return only(offsets().filter(answers), "aColName");
}

/** SQLite keeps the callbacks behind `aLimit`, side by side; a wrong word before it may hang a probe. */
async function findCallbacks(
  make: () => ProbeInstance,
  limits: number,
): Promise<{ xAuth: number; xProgress: number }> {
  const wabt = await loadWabt();
  const parsed = wabt.parseWat("callbacks.wat", CALLBACKS);
  const module = new WebAssembly.Module(new Uint8Array(parsed.toBinary({}).buffer));
  parsed.destroy();
  /** Calls of the callback when its table index stands in the field `at` while `sql` runs. */
  const calls = (name: "auth" | "progress", at: number, sql: string): number => {
    const probe = make();
    const db = probe.openDatabase();
    if (probe.word(db + at) !== 0) return 0;
    let count = 0;
    const call = (): number => (count++ > 0 && name === "progress" ? 1 : 0);
    const { exports } = new WebAssembly.Instance(module, { host: { call } });
    probe.setWord(db + at, probe.addFunction(exports[name]));
    if (name === "progress") probe.setWord(db + at + 8, 100);
    try {
      probe.run(db, sql);
    } catch {
      return 0;
    }
    return count;
  };
  const runaway = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT 1 FROM c";
  const authorizer = "SELECT name FROM sqlite_schema WHERE name = 'x'";
  const behind = offsets().filter((at) => at > limits);
  const asksTwice = behind.filter((at) => calls("auth", at, authorizer) >= 2);
  const xAuth = only(asksTwice, "xAuth");
  const near = behind.filter((at) => at > xAuth && at < xAuth + 40);
  const stops = near.filter((at) => calls("progress", at, `${runaway} LIMIT 99999`) === 2);
  return { xAuth, xProgress: only(stops, "xProgress") };
}

/** Finds every offset on instances of `module`, or throws what could not be found. */
export async function findOffsets(
  module: WebAssembly.Module,
  names: SqljsNames,
): Promise<SqljsOffsets> {
  const make = (): ProbeInstance => new ProbeInstance(module, names);
  const { errCode, errByteOffset } = findErrorFields(make());
  const { variables, memBytes } = findVariables(make());
  const limits = findLimits(make());
  return {
    db: { errCode, errByteOffset, limits, ...(await findCallbacks(make, limits)) },
    statement: { columnNames: findColumnNames(make, memBytes), variables },
    memBytes,
  };
}
