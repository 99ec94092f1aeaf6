import { existsSync, realpathSync } from "node:fs";

/**
 * The file that a path with links leads to; the path itself where there is none. SQLite keeps the log
 * beside that file, and so it is there that everything else of a database has its place.
 */
export function realPath(path: string): string {
  return existsSync(path) ? realpathSync(path) : path;
}
