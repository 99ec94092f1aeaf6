import { lstat, rename, stat } from "node:fs/promises";
import { createConnection, type Server } from "node:net";
import { ReplicaError } from "../../shared/errors.ts";
import { codeOf, removeFile, TEMPORARY_SUFFIX } from "../storage/durable-file.ts";

export interface ListenOptions {
  readonly socketPath: string;
  /** Of the socket's file, such as 0o600. */
  readonly permissions: number;
}

/**
 * Lets `server` listen on a unix socket. The file of a process that has died is replaced.
 *
 * @throws {ReplicaError} `WRITER_CONFLICT` when another process listens there, `LOCAL_FILE` when there
 *   can be no socket at that place.
 */
export async function listenOnSocket(server: Server, options: ListenOptions): Promise<void> {
  const { socketPath } = options;
  try {
    await listen(server, options).catch(async (error: unknown) => {
      if (codeOf(error) !== "EADDRINUSE") throw error;
      await removeStaleSocket(socketPath);
      await listen(server, options);
    });
  } catch (cause) {
    server.close();
    if (cause instanceof ReplicaError) throw cause;
    if (codeOf(cause) === "EADDRINUSE") throw inUse(socketPath);
    throw new ReplicaError(
      "LOCAL_FILE",
      `cannot listen on the control socket ${socketPath}: ${(cause as Error).message}. Choose a place that this user may write to (and of less than 100 characters)`,
      { cause },
    );
  }
}

async function listen(server: Server, { socketPath, permissions }: ListenOptions): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  // A socket gets all that the mask leaves. It is bound within the call, and so never open to others.
  const before = process.umask(0o777 & ~permissions);
  try {
    server.listen(socketPath, resolve);
  } finally {
    process.umask(before);
  }
  try {
    await promise;
  } finally {
    server.off("error", reject);
  }
}

/** Removes the file of a socket that nobody listens on; anything else stays, and is refused. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = await stat(path);
  if (!found.isSocket()) {
    throw new ReplicaError(
      "LOCAL_FILE",
      `${path} is there and is no socket: remove it, or give the control socket another place`,
    );
  }
  if (await isListenedOn(path)) throw inUse(path);
  // Of two processes that find the same dead socket one is first; the other must not take its new one away.
  const aside = `${path}.${process.pid}${TEMPORARY_SUFFIX}`;
  await rename(path, aside);
  if ((await lstat(aside)).ino !== found.ino) {
    await rename(aside, path);
    throw inUse(path);
  }
  await removeFile(aside);
}

async function isListenedOn(path: string): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const connection = createConnection(path);
  connection.once("connect", () => resolve(true));
  connection.once("error", (error) => {
    if (codeOf(error) === "ECONNREFUSED") resolve(false);
    else reject(error);
  });
  try {
    return await promise;
  } finally {
    connection.destroy();
  }
}

function inUse(path: string): ReplicaError {
  return new ReplicaError(
    "WRITER_CONFLICT",
    `another process already listens on the control socket ${path}: stop it, or give this one a socket of its own`,
  );
}
