import { homedir } from "node:os";
import { join, resolve } from "node:path";

/** The absolute path that a configuration or an argument means: `~/app.db` and `sqlite:///data/app.db` too. */
export function localPath(text: string): string {
  const path = text.replace(/^sqlite3?:\/\//, "");
  if (path === "~" || path.startsWith("~/")) return join(homedir(), path.slice(1));
  return resolve(path);
}
