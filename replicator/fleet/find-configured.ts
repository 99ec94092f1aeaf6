import { basename, relative } from "node:path";
import type { Config, DatabaseConfig, FolderConfig } from "../config/config.ts";
import { globExpression } from "../config/glob.ts";
import { canonicalPath, memberConfig } from "./member-config.ts";

/**
 * The configuration of the database at `path`, whether its file is there or not: what a replicator with this
 * configuration would do with it. Undefined when it would do nothing.
 */
export function findConfigured(
  { databases, folders }: Pick<Config, "databases" | "folders">,
  path: string,
): DatabaseConfig | undefined {
  const wanted = canonicalPath(path);
  const named = databases.find((database) => canonicalPath(database.path) === wanted);
  if (named) return named;
  for (const folder of folders) {
    const below = relative(canonicalPath(folder.folder), wanted);
    if (isMember(folder, below)) return memberConfig(folder, below);
  }
  return undefined;
}

function isMember({ pattern, recursive }: FolderConfig, below: string): boolean {
  const isBelow = below !== "" && !below.startsWith("../");
  if (!isBelow || (!recursive && below.includes("/"))) return false;
  return globExpression(pattern).test(basename(below));
}
