/** From a replica's configuration to its store. */
import { posix } from "node:path";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import {
  type Environment,
  parseStoreUrl,
  type StoreTarget,
} from "../../shared/storage/store-url.ts";
import { openTarget } from "../storage/open-store.ts";
import type { ReplicaConfig } from "./config.ts";

/**
 * Opens the replica. Nothing is asked of the store yet.
 *
 * @param signal Ends every request that brings no signal of its own.
 * @throws {ReplicaError} `BAD_CONFIG` as `parseStoreUrl`.
 */
export function openConfiguredReplica(
  replica: ReplicaConfig,
  env: Environment,
  signal?: AbortSignal,
): Replica {
  return openTarget(targetOf(replica, env), signal);
}

/**
 * What two replicas have in common when they are in one place, whatever their URLs look like.
 *
 * @throws {ReplicaError} `BAD_CONFIG` as `parseStoreUrl`, but not for credentials that are missing.
 */
export function identityOf(replica: ReplicaConfig, env: Environment): string {
  const anyone = { LITESTREAM_ACCESS_KEY_ID: "-", LITESTREAM_SECRET_ACCESS_KEY: "-" };
  const target = targetOf(replica, { ...env, ...anyone });
  if (target.kind === "folder") return target.folder;
  return `${target.endpoint.toLowerCase()} ${target.bucket} ${target.path}`;
}

/** The replica of a database that a folder's configuration found at `relativePath`, as Litestream places it. */
export function replicaBelow(replica: ReplicaConfig, relativePath: string): ReplicaConfig {
  const { url, keyPath } = replica;
  const query = url.indexOf("?");
  const end = query === -1 ? url.length : query;
  const escaped = relativePath.split("/").map(encodeURIComponent).join("/");
  return {
    ...replica,
    url: `${url.slice(0, end).replace(/\/+$/, "")}/${escaped}${url.slice(end)}`,
    keyPath: keyPath === undefined ? undefined : posix.join(keyPath, relativePath),
  };
}

/** A replica that is named by its URL alone. */
export function replicaOfUrl(url: string): ReplicaConfig {
  const kind = /^file:/i.test(url) ? "file" : "s3";
  return { url, kind, keyPath: undefined, accessKeyId: undefined, secretAccessKey: undefined };
}

function targetOf(replica: ReplicaConfig, env: Environment): StoreTarget {
  const { url, keyPath, accessKeyId, secretAccessKey } = replica;
  const own = {
    ...(accessKeyId !== undefined && { LITESTREAM_ACCESS_KEY_ID: accessKeyId }),
    ...(secretAccessKey !== undefined && { LITESTREAM_SECRET_ACCESS_KEY: secretAccessKey }),
  };
  const target = parseStoreUrl(url, { ...env, ...own }, { writing: true });
  return target.kind === "s3" && keyPath !== undefined ? { ...target, path: keyPath } : target;
}
