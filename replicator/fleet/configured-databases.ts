import type { Config, DatabaseConfig } from "../config/config.ts";
import { findDatabases } from "./find-databases.ts";
import { memberConfig } from "./member-config.ts";

/** The databases that a replicator would start with. Not for its own process: files in folders are looked into. */
export function configuredDatabases({
  databases,
  folders,
}: Pick<Config, "databases" | "folders">): readonly DatabaseConfig[] {
  const found = folders.flatMap((folder) =>
    // Nothing is open in this process: every file may be looked into.
    findDatabases(folder, () => false).databases.map((path) => memberConfig(folder, path)),
  );
  return [...databases, ...found];
}
