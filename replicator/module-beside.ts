import { extname } from "node:path";

/** Where a module of the replicator is that runs by itself: TypeScript here, JavaScript in a package that was installed. */
export function moduleBeside(name: string, base: string): URL {
  return new URL(`${name}${extname(base)}`, base);
}
