import { Worker } from "node:worker_threads";
import { moduleBeside } from "./module-beside.ts";

/** What a thread keeps of short-lived values at most, in megabytes: it works through one message at a time. */
const YOUNG_MB_MAX = 2;

export interface ThreadOptions {
  /** What the thread's module finds as its `workerData`. */
  readonly data: object;
  /** What its other values take at most, in megabytes. */
  readonly oldMbMax: number;
}

/** Starts a thread that runs the module `name` beside `base`, a module's URL. */
export function startThread(name: string, base: string, { data, oldMbMax }: ThreadOptions): Worker {
  const module = moduleBeside(name, base);
  const isSource = module.pathname.endsWith(".ts");
  return new Worker(isSource ? new URL("./thread.mjs", import.meta.url) : module, {
    workerData: { ...data, module: module.href },
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB_MAX, maxOldGenerationSizeMb: oldMbMax },
  });
}
