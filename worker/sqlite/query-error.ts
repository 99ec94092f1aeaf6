import { type ErrorDetails, isReplicaError, ReplicaError } from "../../shared/errors.ts";
import type { DatabaseHandle, SqliteInstance } from "./build.ts";

export const SQLITE_NOMEM = 7;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

/** What SQLite's parser says of a text that is not SQL; all other errors are about what it names. */
const PARSER_SENTENCES =
  /syntax error|incomplete input|unrecognized token|parser stack overflow|Recursion limit|statement too long/;

/** What SQLite says of a shadow table before it asks the authorizer, where it is told to be defensive. */
const SHADOW_TABLE = /^table \S+ may not be modified$/;

/** What SQLite was doing when it failed. */
export type Phase = "open" | "prepare" | "step";

/** The error that SQLite reports on a connection, as the project's own. */
export function readSqliteError(
  instance: SqliteInstance,
  db: DatabaseHandle,
  phase: Phase,
): ReplicaError {
  if (db === 0) return outOfMemory();
  const offset = instance.errorOffset(db);
  return toReplicaError({
    code: instance.errorCode(db),
    message: instance.errorMessage(db),
    phase,
    ...(offset >= 0 && phase === "prepare" ? { position: offset } : {}),
  });
}

/** What a query ends with that needs more than SQLite may allocate. */
export function outOfMemory(): ReplicaError {
  return new ReplicaError(
    "SQLITE_ERROR",
    "the query needs more memory than there is for queries here: sort, group or join fewer rows",
    { details: { sqlite_code: SQLITE_NOMEM } },
  );
}

/** Says whether SQLite, or the memory it lives in, had no more to give. */
export function isOutOfMemory(error: unknown): boolean {
  return isReplicaError(error, "SQLITE_ERROR") && error.details.sqlite_code === SQLITE_NOMEM;
}

interface SqliteFailure {
  /** Extended result code. */
  readonly code: number;
  readonly message: string;
  readonly phase: Phase;
  readonly position?: number;
}

function toReplicaError({ code, message, phase, position }: SqliteFailure): ReplicaError {
  const details: ErrorDetails = {
    sqlite_code: code,
    ...(position === undefined ? {} : { position }),
  };
  const primary = code & 0xff;
  if (primary === SQLITE_NOMEM) return outOfMemory();
  const isSchema = message.startsWith("malformed database schema");
  if (primary === SQLITE_NOTADB || (primary === SQLITE_CORRUPT && !isSchema)) {
    return new ReplicaError("CORRUPT_PAGE", `SQLite cannot read the database: ${message}`, {
      details,
    });
  }
  const module = /no such module: (\S+)/.exec(message)?.[1]?.toLowerCase();
  if (module !== undefined) {
    const sentence = `the table needs the SQLite module ${module}, which is not available here`;
    return new ReplicaError("UNSUPPORTED_MODULE", sentence, { details: { ...details, module } });
  }
  if (SHADOW_TABLE.test(message)) {
    const sentence = `${message}: a replica can only be read; write to its source`;
    return new ReplicaError("READ_ONLY", sentence, { details });
  }
  const isParser = phase === "prepare" && PARSER_SENTENCES.test(message);
  return new ReplicaError(isParser ? "SQL_PARSE" : "SQLITE_ERROR", message, { details });
}
