/**
 * The wasm that the build compiled and sql.js shipped. Of sql.js only the wasm is used: its JavaScript
 * can be started once in the life of an isolate, and brings a writable file system with it.
 */
import sqliteModule from "sql.js/dist/sql-wasm.wasm";
import pageFaultModule from "./page-fault.wasm";

export { pageFaultModule, sqliteModule };
