/** Files that are complete under their name or not there at all, also after a power failure. */
import { randomBytes } from "node:crypto";
import { closeSync, fsync, openSync, renameSync, writeFileSync } from "node:fs";
import { type FileHandle, link, mkdir, open, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { throwIfAborted } from "../../shared/errors.ts";
import type { PutBody } from "../../shared/storage/bytes.ts";

const fsyncAsync = promisify(fsync);

/** Ending of files that are not finished; Litestream removes what it finds with this ending. */
export const TEMPORARY_SUFFIX = ".tmp";

export interface TemporaryFileOptions {
  /** Becomes the file's time stamp. */
  readonly modifiedAtMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told where it is, before anything is written. */
  readonly onOpened?: ((path: string) => void) | undefined;
}

/** A finished file that has no name of its own yet. */
export interface TemporaryFile {
  readonly path: string;
  /** Stays with the content, whatever becomes of the name; whoever got it closes it. */
  readonly handle: FileHandle;
}

/**
 * Writes `body` to a file beside `path`, forced to disk.
 *
 * @returns For `publishFile` or `publishNewFile`.
 * @throws What the file system, `body` or the signal throw; nothing is left behind then.
 */
export async function writeTemporaryFile(
  path: string,
  body: PutBody,
  { modifiedAtMs, signal, onOpened }: TemporaryFileOptions = {},
): Promise<TemporaryFile> {
  const temporary = nameTemporary(path);
  const handle = await open(temporary, "wx", 0o666);
  try {
    onOpened?.(temporary);
    for await (const chunk of body instanceof Uint8Array ? [body] : body) {
      throwIfAborted(signal);
      await handle.writeFile(chunk);
    }
    if (modifiedAtMs !== undefined) await handle.utimes(modifiedAtMs / 1000, modifiedAtMs / 1000);
    await handle.sync();
    throwIfAborted(signal);
    return { path: temporary, handle };
  } catch (error) {
    await handle.close();
    await removeFile(temporary);
    throw error;
  }
}

/** Writes `body` to a file that has its name, in place of what had it, when it is whole and on disk. */
export async function writeFile(
  path: string,
  body: PutBody,
  options?: TemporaryFileOptions,
): Promise<void> {
  const temporary = await writeTemporaryFile(path, body, options);
  try {
    await publishFile(temporary, path);
  } finally {
    await temporary.handle.close();
  }
}

/**
 * Writes a small file under its name, replacing what had it, forced to disk. All but that is done at once:
 * to wait for a thread at each step would take many times as long.
 *
 * @throws What the file system throws, `ENOENT` when there is no such folder; nothing is left behind then.
 */
export async function writeSmallFile(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = nameTemporary(path);
  const fd = openSync(temporary, "wx", 0o666);
  try {
    try {
      writeFileSync(fd, bytes);
      await fsyncAsync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    await removeFile(temporary);
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Gives a finished temporary file its name, replacing what had it; on failure it is removed. */
export async function publishFile(temporary: TemporaryFile, path: string): Promise<void> {
  try {
    await rename(temporary.path, path);
  } catch (error) {
    await removeFile(temporary.path);
    throw error;
  }
  await syncFolder(dirname(path));
}

/**
 * Gives a finished temporary file a name that nothing has yet. A hard link is the one step that
 * both checks and creates.
 *
 * @returns False when the name is taken; the temporary file is gone either way.
 */
export async function publishNewFile(temporary: TemporaryFile, path: string): Promise<boolean> {
  try {
    await link(temporary.path, path);
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  } finally {
    await removeFile(temporary.path);
  }
  await syncFolder(dirname(path));
  return true;
}

/** Makes `folder` and what is missing above it, each entry forced to disk. */
export async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  // From the new folder up to the one that was there before: each holds a new entry.
  for (let child = folder; child.length >= first.length; child = dirname(child)) {
    await syncFolder(dirname(child));
  }
}

/** Removes a file; one that is not there is no error. */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}

/** The system's name for a failure, such as `ENOENT`; undefined for other errors. */
export function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}

/** A name beside `path` that nothing has. */
export function nameTemporary(path: string): string {
  return `${path}.${randomBytes(6).toString("hex")}${TEMPORARY_SUFFIX}`;
}

async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open a folder; its file system keeps renames in its journal.
  if (process.platform === "win32") return;
  const fd = openSync(folder, "r");
  try {
    await fsyncAsync(fd);
  } finally {
    closeSync(fd);
  }
}
