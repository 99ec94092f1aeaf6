/**
 * Begins a thread as `eddy.mjs` begins the process: Node keeps what it makes of the TypeScript, so that the thread
 * loads no compiler, which would take 30 MB and a tenth of a second. A package that was installed needs none of this.
 */
import { enableCompileCache } from "node:module";
import { workerData } from "node:worker_threads";

enableCompileCache();
await import(workerData.module);
