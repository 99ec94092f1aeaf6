/** The wasm that the build compiled and SQLite's project shipped, without its JavaScript. */
import sqliteModule from "@sqlite.org/sqlite-wasm/sqlite3.wasm";
import fileSystemModule from "./file-system.wasm";

export { fileSystemModule, sqliteModule };
