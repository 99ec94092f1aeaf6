/** The library where it is installed: as JavaScript below `node_modules`, and as it stands in its own folder. */
import { existsSync } from "node:fs";

const isSource = existsSync(new URL("./index.ts", import.meta.url));
export const { replicate } = await import(
  isSource ? "./index.ts" : "../dist/library/replicator/index.js"
);
