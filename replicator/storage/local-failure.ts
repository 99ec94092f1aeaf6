import { isReplicaError, ReplicaError } from "../../shared/errors.ts";
import { codeOf } from "./durable-file.ts";

/**
 * A full disk, or a folder that was removed, as what it is to whoever goes on without the file; what is a
 * `ReplicaError` already is given back, and what is none of the file system's is thrown.
 */
export function localFailure(error: unknown): ReplicaError {
  if (isReplicaError(error)) return error;
  if (codeOf(error) === undefined) throw error;
  return new ReplicaError("LOCAL_FILE", `a file could not be written here: ${String(error)}`, {
    cause: error,
  });
}

/** Says whether a file could not be written or read because its folder was removed meanwhile. */
export function isFolderGone(error: unknown): boolean {
  const origin = isReplicaError(error, "LOCAL_FILE") ? error.cause : error;
  return !isReplicaError(origin) && codeOf(origin) === "ENOENT";
}
