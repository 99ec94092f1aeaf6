import { ReplicaError } from "../../shared/errors.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import type { ObjectStore } from "../../shared/storage/object-store.ts";
import type { Config } from "../config.ts";
import { isDatabaseName, nameOfPath, pathOfName } from "./database-name.ts";
import { discoverReplicas } from "./discover.ts";

/** What `GET /v1/dbs` answers. */
export interface DatabaseList {
  readonly databases: readonly { readonly name: string }[];
  /** Paths of replicas that no name leads to: `DATABASES` can give them one. */
  readonly unnamed: readonly string[];
  /** There may be more databases than the search went on for. */
  readonly truncated: boolean;
}

/**
 * The replica that is served as `name`. Does not touch the bucket: whether there is a replica shows
 * when it is opened.
 *
 * @throws {ReplicaError} `DB_NOT_FOUND`.
 */
export function findReplica(config: Config, store: ObjectStore, name: string): Replica {
  if (!isDatabaseName(name)) {
    throw new ReplicaError(
      "DB_NOT_FOUND",
      `${JSON.stringify(name)} cannot be a database's name: that is 1 to 63 of a-z, 0-9, ".", "_" and "-"`,
    );
  }
  const path = config.databases ? config.databases.get(name) : joinRoot(config, pathOfName(name));
  if (path !== undefined) return { store, path, layout: "s3" };
  throw new ReplicaError(
    "DB_NOT_FOUND",
    `there is no database "${name}": the variable DATABASES does not name it`,
  );
}

/** The databases that are served: those that `DATABASES` names, or else those that are found. */
export async function listDatabases(
  config: Config,
  store: ObjectStore,
  signal?: AbortSignal,
): Promise<DatabaseList> {
  if (config.databases) {
    const databases = Array.from(config.databases.keys(), (name) => ({ name })).toSorted(byName);
    return { databases, unnamed: [], truncated: false };
  }
  const { paths, truncated } = await discoverReplicas(store, config.replicaRoot, signal);
  const names = paths.map(nameOfPath).filter((name) => name !== undefined);
  const unnamed = paths.filter((path) => nameOfPath(path) === undefined);
  return { databases: names.map((name) => ({ name })).toSorted(byName), unnamed, truncated };
}

function joinRoot({ replicaRoot }: Config, path: string): string {
  return replicaRoot === "" ? path : `${replicaRoot}/${path}`;
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}
