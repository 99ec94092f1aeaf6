import { createHash } from "node:crypto";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import type { ObjectStore } from "../../shared/storage/object-store.ts";
import { S3Store } from "../../shared/storage/s3-store.ts";
import {
  type Environment,
  parseStoreUrl,
  type S3Target,
  type StoreTarget,
} from "../../shared/storage/store-url.ts";
import { nodeDigests } from "./node-digests.ts";
import { nodeFetch } from "./node-fetch.ts";
import { FileStore } from "./file-store.ts";

export interface OpenReplicaOptions {
  /** Credentials and defaults: `process.env`. */
  readonly env: Environment;
  /** Refuses a replica at the very top of a bucket, which may be read but not begun. */
  readonly writing: boolean;
  /** Ends every request that brings no signal of its own. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens the replica that a URL names. Nothing is asked of the store yet.
 *
 * @throws {ReplicaError} `BAD_CONFIG` as `parseStoreUrl`.
 */
export function openReplica(url: string, { env, writing, signal }: OpenReplicaOptions): Replica {
  return openTarget(parseStoreUrl(url, env, { writing }), signal);
}

/** Opens the replica at a place that is known in all its parts. Nothing is asked of the store yet. */
export function openTarget(target: StoreTarget, signal?: AbortSignal): Replica {
  if (target.kind === "folder") {
    const { folder } = target;
    return { store: withSignal(new FileStore(folder), signal), path: "", layout: "folder", folder };
  }
  return { store: withSignal(openS3(target), signal), path: target.path, layout: "s3" };
}

function openS3(target: S3Target): S3Store {
  const { kind: _, path: __, contentMd5, sessionToken, partBytes, storageClass, ...rest } = target;
  return new S3Store({
    ...rest,
    ...(sessionToken !== undefined && { sessionToken }),
    ...(partBytes !== undefined && { partBytes }),
    ...(storageClass !== undefined && { storageClass }),
    ...(contentMd5 && { md5 }),
    digests: nodeDigests,
    fetch: nodeFetch,
    now: Date.now,
    random: Math.random,
  });
}

function md5(bytes: Uint8Array): Uint8Array {
  return createHash("md5").update(bytes).digest();
}

function withSignal(store: ObjectStore, signal: AbortSignal | undefined): ObjectStore {
  if (signal === undefined) return store;
  // An option that is there but undefined must not hide the signal.
  const tied = <T extends { readonly signal?: AbortSignal | undefined }>(options: T | undefined) =>
    ({ ...options, signal: options?.signal ?? signal }) as T;
  return {
    list: (options) => store.list(tied(options)),
    get: (key, options) => store.get(key, tied(options)),
    put: (key, body, options) => store.put(key, body, tied(options)),
    delete: (keys, options) => store.delete(keys, tied(options)),
  };
}
