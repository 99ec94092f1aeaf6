import type { Call } from "../wasm/c-functions.ts";
import { addFunction } from "../wasm/entry.ts";
import type { Memory } from "../wasm/memory.ts";

export interface FileSystemParts {
  readonly memory: Memory;
  /** SQLite's own table of functions. */
  readonly table: WebAssembly.Table;
  /** Finds a C function by its name. */
  readonly c: (symbol: string) => Call;
  /** The exports of `file-system.wat`. */
  readonly fileSystem: WebAssembly.Exports;
}

/** `sqlite3_io_methods`, version 1: a number as it is, a name for the export of that name. */
const FILE_METHODS = [
  1,
  "xClose",
  "xRead",
  "xWrite",
  "xTruncate",
  "nothing",
  "xFileSize",
  "nothing",
  "nothing",
  "xCheckReservedLock",
  "xFileControl",
  "xSectorSize",
  "xDeviceCharacteristics",
];

/** `sqlite3_vfs`, version 2, up to its name: 8 bytes a file, paths of 64 bytes, and no next one. */
const HEAD = [2, 8, 64, 0];

/** And after it. There is nothing to load libraries with. */
const METHODS = [
  0,
  "xOpen",
  "xDelete",
  "xAccess",
  "xFullPathname",
  0,
  0,
  0,
  0,
  "xRandomness",
  "xSleep",
  "xCurrentTime",
  "xGetLastError",
  "xCurrentTimeInt64",
];

/** Lays out the two structs of SQLite's public API, and makes this file system the one that is used. */
export function registerFileSystem({ memory, table, c, fileSystem }: FileSystemParts): void {
  const allocate = (bytes: number): number => {
    const address = c("malloc")(bytes);
    if (address === 0) throw new Error("there is no memory to start SQLite in");
    return address;
  };
  const layOut = (words: readonly (number | string)[]): number => {
    const address = allocate(words.length * 4);
    for (const [at, word] of words.entries()) {
      const value = typeof word === "number" ? word : addFunction(table, fileSystem[word]);
      memory.setWord(address + at * 4, value);
    }
    return address;
  };
  const encoded = memory.encode("lent\0");
  const name = allocate(encoded.length);
  memory.bytes.set(encoded, name);
  (fileSystem["initialize"] as Call)(layOut(FILE_METHODS));
  const code = c("sqlite3_vfs_register")(layOut([...HEAD, name, ...METHODS]), 1);
  if (code !== 0) throw new Error(`SQLite did not take its file system: ${code}`);
}
