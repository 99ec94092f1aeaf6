/** The argument of commands that read a replica: its URL, or a database of the configuration. */
import { existsSync } from "node:fs";
import type { Command } from "commander";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import type { ConfigFlags } from "../config/command-line.ts";
import type { DatabaseConfig } from "../config/config.ts";
import { configPath, loadConfig } from "../config/load-config.ts";
import { openConfiguredReplica } from "../config/replica-place.ts";
import { findConfigured } from "../fleet/find-configured.ts";
import { openReplica } from "../storage/open-store.ts";
import { usageError } from "../terminal/output.ts";

/** A replica that a command was told to read. */
export interface NamedReplica {
  readonly url: string;
  /** Its database, and where that has its staged files, where the configuration says it. */
  readonly databasePath: string | undefined;
  readonly stagingFolder: string | undefined;
  /** Opens it; nothing is asked of the store yet. */
  readonly open: (options: { readonly writing: boolean; readonly signal: AbortSignal }) => Replica;
}

/** Adds `--config` and `--no-expand-env`. */
export function addConfigOptions(command: Command): Command {
  return command
    .option("--config <path>", "where a database's replica is looked up ($LITESTREAM_CONFIG, …)")
    .option("--no-expand-env", "take $VARIABLES in the configuration file as they stand");
}

/**
 * Finds what `name` means: a URL is one, and anything else the path of a database in the configuration.
 *
 * @throws {ReplicaError} `BAD_CONFIG` when the configuration cannot be read, or does not know the database.
 */
export async function namedReplica(name: string, flags: ConfigFlags): Promise<NamedReplica> {
  const isUrl = /^[a-z][a-z0-9+.-]*:/i.test(name) && !/^sqlite3?:\/\//i.test(name);
  if (isUrl && flags.config !== undefined) {
    throw usageError("a URL and --config exclude each other: leave one of the two out");
  }
  const database = isUrl ? undefined : await configuredDatabase(name, flags);
  if (!database) {
    const open: NamedReplica["open"] = (options) =>
      openReplica(name, { env: process.env, ...options });
    return { url: name, databasePath: undefined, stagingFolder: undefined, open };
  }
  const { path: databasePath, stagingFolder, replica } = database;
  const open: NamedReplica["open"] = ({ signal }) =>
    openConfiguredReplica(replica, process.env, signal);
  return { url: replica.url, databasePath, stagingFolder, open };
}

/**
 * What the configuration says of a database. Undefined when it does not know it, or when there is no
 * configuration and none was asked for.
 *
 * @throws {ReplicaError} `BAD_CONFIG` when it cannot be read, or was asked for and does not know the database.
 */
export async function configuredDatabase(
  path: string,
  flags: ConfigFlags,
): Promise<DatabaseConfig | undefined> {
  const file = configPath(flags.config, process.env);
  if (flags.config === undefined && !existsSync(file)) return undefined;
  const { expandEnv: expandEnvironment } = flags;
  const config = await loadConfig({ path: file, env: process.env, expandEnvironment });
  const database = findConfigured(config, path);
  if (database || flags.config === undefined) return database;
  throw usageError(`${path} is none of the databases in ${file}: eddy databases shows those`);
}
