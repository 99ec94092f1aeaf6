import { dirname } from "node:path";
import { isReplicaError, ReplicaError } from "../../shared/errors.ts";
import type { PutBody } from "../../shared/storage/bytes.ts";
import { codeOf, makeFolder, removeFile, writeTemporaryFile } from "./durable-file.ts";

/** A file that is there while something is made from it. */
export interface WorkFile extends AsyncDisposable {
  readonly path: string;
}

/**
 * Writes `body` to a temporary file beside `path`, which is removed when the result is disposed of.
 *
 * @throws {ReplicaError} `LOCAL_FILE` when the file system takes no file; and what `body` throws.
 */
export async function writeWorkFile(
  path: string,
  body: PutBody,
  signal: AbortSignal | undefined,
): Promise<WorkFile> {
  try {
    // The folder may have been removed under a running replicator.
    await makeFolder(dirname(path));
    const file = await writeTemporaryFile(path, body, { signal });
    return {
      path: file.path,
      [Symbol.asyncDispose]: async () => {
        await file.handle.close();
        await removeFile(file.path);
      },
    };
  } catch (cause) {
    const code = codeOf(cause);
    if (isReplicaError(cause) || code === undefined) throw cause;
    const reason = code === "ENOSPC" ? "the disk is full" : (cause as Error).message;
    throw new ReplicaError("LOCAL_FILE", `cannot write ${path}: ${reason}`, { cause });
  }
}
