/** What the calibration uses of WebAssembly; the types of Node do not have it. */
declare namespace WebAssembly {
  interface Descriptor {
    readonly module: string;
    readonly name: string;
    readonly kind: "function" | "global" | "memory" | "table";
  }
  class Module {
    constructor(bytes: Uint8Array);
    static imports(module: Module): Descriptor[];
    static exports(module: Module): Descriptor[];
  }
  class Memory {
    readonly buffer: ArrayBuffer;
  }
  type Callable = (...args: number[]) => unknown;
  class Table {
    grow(delta: number): number;
    set(index: number, value: Callable): void;
  }
  class Instance {
    readonly exports: Readonly<Record<string, Callable | Memory | Table>>;
    constructor(module: Module, imports: Record<string, Record<string, Callable>>);
  }
}
