import { basename } from "node:path";
import type { Environment } from "../../shared/storage/store-url.ts";
import type { DatabaseConfig, DatabaseSettings, FolderConfig } from "./config.ts";
import { globExpression } from "./glob.ts";
import { DATABASE_KEYS } from "./key-tables.ts";
import { localPath } from "./local-path.ts";
import { readReplica, type ReadReplica } from "./read-replica.ts";
import { readSettings } from "./read-settings.ts";
import type { Fields, YamlNode } from "./yaml-node.ts";

export interface DatabaseContext {
  /** The top of the file. */
  readonly top: Fields;
  readonly defaults: DatabaseSettings;
  readonly env: Environment;
}

/** An entry of `dbs`: one database, or a folder of them. */
export type DatabaseEntry =
  | { readonly kind: "database"; readonly config: DatabaseConfig }
  | { readonly kind: "folder"; readonly config: FolderConfig };

/**
 * Reads one entry of `dbs`.
 *
 * @throws {ReplicaError} `BAD_CONFIG` with the line.
 */
export function readDatabase(node: YamlNode, context: DatabaseContext): DatabaseEntry {
  const fields = node.fields(DATABASE_KEYS);
  const [path, folder] = [fields.text("path"), fields.text("dir")];
  if (path !== undefined && folder !== undefined) {
    throw node.refuse("a database has a path, or a dir with a pattern, and not both");
  }
  if (path === undefined && folder === undefined) {
    throw node.refuse("there is no database: write its path, or a dir with a pattern");
  }
  const { replica, syncIntervalMs } = replicaOf(fields, context);
  const settings = {
    ...readSettings(fields, context.defaults),
    syncIntervalMs,
    restoreIfMissing: fields.flag("restore-if-db-not-exists") ?? false,
  };
  if (folder !== undefined) {
    return { kind: "folder", config: readFolder(fields, folder, { ...settings, replica }) };
  }
  for (const name of ["pattern", "recursive", "watch", "meta-dir"]) {
    if (fields.text(name) === undefined) continue;
    throw fields.get(name)!.refuse(`"${name}" belongs to a dir, and this is one database`);
  }
  const metaPath = fields.text("meta-path");
  const stagingFolder = metaPath === undefined ? undefined : localPath(metaPath);
  const config = { path: localPath(path ?? ""), replica, stagingFolder, ...settings };
  return { kind: "database", config };
}

function readFolder(
  fields: Fields,
  folder: string,
  rest: Omit<FolderConfig, "folder" | "pattern" | "recursive" | "watch" | "staging">,
): FolderConfig {
  const pattern = fields.text("pattern");
  if (pattern === undefined) {
    throw fields.node.refuse(
      `there is no pattern: write which files of ${basename(folder)} are databases, such as "*.db"`,
    );
  }
  fields.get("pattern")!.blame(() => globExpression(pattern));
  const [metaPath, metaDir] = [fields.text("meta-path"), fields.text("meta-dir")];
  if (metaPath !== undefined && metaDir !== undefined) {
    throw fields.get("meta-dir")!.refuse("meta-path and meta-dir exclude each other");
  }
  const meta = metaDir ?? metaPath;
  const kind = metaDir === undefined ? "meta-path" : "meta-dir";
  return {
    ...rest,
    folder: localPath(folder),
    pattern,
    recursive: fields.flag("recursive") ?? false,
    watch: fields.flag("watch") ?? false,
    staging: meta === undefined ? undefined : { kind, folder: localPath(meta) },
  };
}

function replicaOf(fields: Fields, { top, env }: DatabaseContext): ReadReplica {
  const [one, many] = [fields.get("replica"), fields.get("replicas")];
  const listed = many?.items() ?? [];
  if (one && listed.length > 0) {
    throw many!.refuse('"replica" and "replicas" exclude each other: write "replica"');
  }
  if (listed.length > 1) {
    throw listed[1].refuse(
      "a database has one replica: several would each need a history of their own; copy the bucket instead, or replicate the copy of a restore",
    );
  }
  const node = one ?? listed[0];
  if (node === undefined) throw fields.node.refuse("the database has no replica: write where to");
  return readReplica(node, top, env);
}
