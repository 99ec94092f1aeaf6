import { existsSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { DatabaseConfig, DatabaseSettings, FolderConfig } from "../config/config.ts";
import { localPath } from "../config/local-path.ts";
import { replicaBelow } from "../config/replica-place.ts";

/** The configuration of the database at `relativePath` of a folder, its replica and staging where Litestream has them. */
export function memberConfig(folder: FolderConfig, relativePath: string): DatabaseConfig {
  const { folder: root, replica, staging, pattern: _, recursive: __, watch: ___, ...rest } = folder;
  const settings: DatabaseSettings = rest;
  return {
    ...settings,
    path: join(root, relativePath),
    replica: replicaBelow(replica, relativePath),
    stagingFolder: staging && join(staging.folder, stagingName(staging.kind, relativePath)),
  };
}

function stagingName(kind: "meta-dir" | "meta-path", relativePath: string): string {
  if (kind === "meta-dir") return `${relativePath}-litestream`;
  return join(dirname(relativePath), `.${basename(relativePath)}-litestream`);
}

/** The one spelling of a path: absolute, without links; of a file that is not there, without links above it. */
export function canonicalPath(text: string): string {
  const path = localPath(text);
  if (existsSync(path)) return realpathSync(path);
  const folder = dirname(path);
  return existsSync(folder) ? join(realpathSync(folder), basename(path)) : path;
}
