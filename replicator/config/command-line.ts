/** The configuration of `replicate` and `databases`: a file, or a database and a URL; and what flags say in addition. */
import type { PageCodec } from "../../shared/ltx/page-frame.ts";
import { ReplicaError } from "../../shared/errors.ts";
import type { Environment } from "../../shared/storage/store-url.ts";
import { UNCONFIGURED, type Config } from "./config.ts";
import { parseDuration } from "./duration.ts";
import { loadConfig } from "./load-config.ts";
import { localPath } from "./local-path.ts";
import { identityOf, replicaOfUrl } from "./replica-place.ts";

/** Flags of commands that read the configuration file. */
export interface ConfigFlags {
  readonly config?: string;
  /** False: `--no-expand-env`. */
  readonly expandEnv: boolean;
}

export interface OverrideFlags {
  readonly syncInterval?: string;
  readonly restoreIfDbNotExists?: boolean;
  readonly exec?: string;
  readonly pageCodec?: PageCodec;
  /** False: `--no-lease`. */
  readonly lease: boolean;
  /** False: `--no-edge-bundle`. */
  readonly edgeBundle: boolean;
}

/**
 * Reads the file, or makes the configuration of one database that is named with its URL.
 *
 * @throws {ReplicaError} `BAD_CONFIG`.
 */
export async function configOf(
  { database, url }: { readonly database: string | undefined; readonly url: string | undefined },
  flags: ConfigFlags,
  env: Environment,
): Promise<Config> {
  if (database === undefined) {
    return await loadConfig({ path: flags.config, env, expandEnvironment: flags.expandEnv });
  }
  if (url === undefined) {
    throw bad(`where is ${database} to go? Name the replica's URL after it`);
  }
  if (flags.config !== undefined) {
    throw bad("a database with its URL and --config exclude each other: leave one of the two out");
  }
  const replica = replicaOfUrl(url);
  // What is wrong with the URL is told before anything is begun.
  identityOf(replica, env);
  const config = {
    ...UNCONFIGURED.defaults,
    path: localPath(database),
    replica,
    stagingFolder: undefined,
  };
  return { ...UNCONFIGURED, databases: [config] };
}

/** `config` with what the command line says in the place of what the file says. */
export function override(config: Config, flags: OverrideFlags): Config {
  const { syncInterval, restoreIfDbNotExists, exec, lease, edgeBundle, pageCodec } = flags;
  const settings = {
    ...(syncInterval !== undefined && {
      syncIntervalMs: parseDuration(syncInterval, "--sync-interval"),
    }),
    ...(restoreIfDbNotExists && { restoreIfMissing: true }),
    ...(pageCodec !== undefined && { codec: pageCodec }),
    ...(!lease && { lease }),
    ...(!edgeBundle && { edgeBundle }),
  };
  return {
    ...config,
    databases: config.databases.map((database) => ({ ...database, ...settings })),
    folders: config.folders.map((folder) => ({ ...folder, ...settings })),
    exec: exec ?? config.exec,
  };
}

function bad(message: string): ReplicaError {
  return new ReplicaError("BAD_CONFIG", message);
}
