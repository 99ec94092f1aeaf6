import type { SqljsNames } from "./find-names.ts";

/** A bare sql.js for the calibration: databases in memory only, and every import answers 0. */
export class ProbeInstance {
  readonly #exports: WebAssembly.Instance["exports"];
  readonly #names: Readonly<Record<string, string>>;
  readonly #memory: WebAssembly.Memory;
  readonly #table: WebAssembly.Table;

  constructor(module: WebAssembly.Module, { importModule, exports }: SqljsNames) {
    const stubs = WebAssembly.Module.imports(module).map(({ name }) => [name, () => 0] as const);
    const instance = new WebAssembly.Instance(module, {
      [importModule]: Object.fromEntries(stubs),
    });
    this.#exports = instance.exports;
    this.#names = exports;
    this.#memory = instance.exports[exports["memory"] ?? ""] as WebAssembly.Memory;
    this.#table = instance.exports[exports["table"] ?? ""] as WebAssembly.Table;
    this.call("initialize");
  }

  /** Calls an exported C function by its own name. */
  call(symbol: string, ...args: number[]): number {
    const name = this.#names[symbol];
    const exported = name === undefined ? undefined : this.#exports[name];
    if (typeof exported !== "function") throw new Error(`sql.js does not export ${symbol}`);
    return Number(exported(...args));
  }

  /** The function's index in the table, where SQLite can call it. */
  addFunction(exported: WebAssembly.Instance["exports"][string] | undefined): number {
    if (typeof exported !== "function") throw new Error("not a function");
    const index = this.#table.grow(1);
    this.#table.set(index, exported);
    return index;
  }

  /** The 32-bit word at `address`; 0 outside of the memory, where probing may well ask. */
  word(address: number): number {
    const view = new DataView(this.#memory.buffer);
    return address >= 0 && address + 4 <= view.byteLength ? view.getUint32(address, true) : 0;
  }

  setWord(address: number, value: number): void {
    new DataView(this.#memory.buffer).setUint32(address, value, true);
  }

  /** The double at `address`; NaN outside of the memory. */
  double(address: number): number {
    const view = new DataView(this.#memory.buffer);
    return address + 8 <= view.byteLength ? view.getFloat64(address, true) : Number.NaN;
  }

  text(address: number): string {
    const bytes = new Uint8Array(this.#memory.buffer, address);
    return address === 0 ? "" : new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
  }

  openDatabase(): number {
    const out = this.call("malloc", 8);
    const code = this.call("sqlite3_open", this.#copyText(":memory:"), out);
    if (code !== 0) throw new Error(`sqlite3_open gave ${code}`);
    return this.word(out);
  }

  /** A statement, or 0 where the text does not compile. */
  prepare(db: number, sql: string): number {
    const out = this.call("malloc", 8);
    this.call("sqlite3_prepare_v2", db, this.#copyText(sql), -1, out, 0);
    return this.word(out);
  }

  /** Runs one statement to its end; SQLite's result code, 0 when all went well. */
  run(db: number, sql: string): number {
    const statement = this.prepare(db, sql);
    if (statement === 0) return 1;
    // Bounded by the SQL, which the calibration writes itself.
    while (this.call("sqlite3_step", statement) === 100);
    return this.call("sqlite3_finalize", statement);
  }

  #copyText(text: string): number {
    const bytes = new TextEncoder().encode(`${text}\0`);
    const address = this.call("malloc", bytes.length);
    new Uint8Array(this.#memory.buffer).set(bytes, address);
    return address;
  }
}
