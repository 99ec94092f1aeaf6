import { ReplicaError } from "../../shared/errors.ts";
import { codeOf } from "./durable-file.ts";

/** What a failure of the file system means to a person, by the system's name for it. */
const ADVICE: Readonly<Record<string, string>> = {
  EACCES: "the folder's permissions forbid it: give the user who runs Eddy read and write access",
  // Linux says so too of a hard link on a file system that has none.
  EPERM:
    "the system forbids it: check the folder's owner, how it is mounted, and, where it is to hold a replica, that its file system has hard links, as FAT has not",
  EROFS: "it lies on a file system that is mounted read-only",
  ENOSPC: "the disk is full: make room and it goes on",
  EDQUOT: "the user's disk quota is used up: make room and it goes on",
  EMFILE: "the process has too many files open: raise `ulimit -n`",
  ENFILE: "the system has too many files open",
  EIO: "the disk reports a read or write error",
  ENOTDIR: "a part of the path is a file, not a folder",
  EEXIST: "a part of the path is a file, not a folder",
  EISDIR: "there is a folder where the file belongs",
  ENAMETOOLONG: "the name is longer than the file system allows",
  ENOTSUP: "the file system has no hard links, which writing only what is absent needs",
  EOPNOTSUPP: "the file system has no hard links, which writing only what is absent needs",
};

const DENIED = new Set(["EACCES", "EPERM", "EROFS"]);

/**
 * Turns what a file operation threw into a `ReplicaError`; one that is already is given back.
 *
 * @param what For the sentence: `read "key" in`.
 */
export function folderError(error: unknown, what: string, root: string): ReplicaError {
  if (error instanceof ReplicaError) return error;
  const isDenied = DENIED.has(codeOf(error) ?? "");
  const message = `cannot ${what} the folder ${root}: ${reasonOf(error)}`;
  return new ReplicaError(isDenied ? "STORE_DENIED" : "R2_ERROR", message, { cause: error });
}

/** What a failure of the file system means and what to do about it, with the system's name for it. */
export function reasonOf(error: unknown): string {
  const code = codeOf(error) ?? "";
  const reason = ADVICE[code] ?? (error instanceof Error ? error.message : String(error));
  return `${reason}${code && ` (${code})`}`;
}
