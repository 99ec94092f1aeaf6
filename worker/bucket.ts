import { ReplicaError } from "../shared/errors.ts";
import type { ObjectStore } from "../shared/storage/object-store.ts";
import { S3Store } from "../shared/storage/s3-store.ts";
import type { Env } from "./env.ts";
import { R2Store } from "./storage/r2-store.ts";

const opened = new WeakMap<Env, ObjectStore>();

/**
 * The bucket that the Worker reads: one elsewhere, through the S3 API, where `S3_ENDPOINT` names
 * it, otherwise the R2 binding.
 *
 * @throws {ReplicaError} `BAD_CONFIG` when there is neither, or a part of the address is missing.
 */
export function openBucket(env: Env): ObjectStore {
  const store = opened.get(env) ?? open(env);
  opened.set(env, store);
  return store;
}

function open(env: Env): ObjectStore {
  if (env.S3_ENDPOINT !== undefined) {
    return new S3Store({
      endpoint: env.S3_ENDPOINT,
      bucket: required(env, "S3_BUCKET"),
      region: env.S3_REGION ?? "auto",
      accessKeyId: required(env, "S3_ACCESS_KEY_ID"),
      secretAccessKey: required(env, "S3_SECRET_ACCESS_KEY"),
      fetch: (url, init) => fetch(url, init),
      now: Date.now,
      random: Math.random,
    });
  }
  if (env.BUCKET) return new R2Store(env.BUCKET);
  throw new ReplicaError(
    "BAD_CONFIG",
    "the Worker has no bucket: bind one as BUCKET in wrangler.toml, or set S3_ENDPOINT, S3_BUCKET, " +
      "S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY for a bucket elsewhere",
  );
}

function required(
  env: Env,
  name: "S3_BUCKET" | "S3_ACCESS_KEY_ID" | "S3_SECRET_ACCESS_KEY",
): string {
  const value = env[name];
  if (value) return value;
  throw new ReplicaError("BAD_CONFIG", `S3_ENDPOINT is set, so ${name} is needed too`);
}
