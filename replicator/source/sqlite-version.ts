import { ReplicaError } from "../../shared/errors.ts";

/** The first SQLite whose log cannot be reset under a checkpointing process. */
const SQLITE_VERSION_MIN = "3.51.3";

/**
 * @param version Of the SQLite that is used, as Node says it: `3.51.3`.
 * @throws {ReplicaError} `BAD_CONFIG` when that SQLite can corrupt a database, or is not known.
 */
export function refuseOldSqlite(version = process.versions["sqlite"] ?? ""): void {
  // What is no number is no version that is known to be sound.
  if (rankOf(version) >= rankOf(SQLITE_VERSION_MIN)) return;
  throw new ReplicaError(
    "BAD_CONFIG",
    `this Node brings SQLite ${version}; ${SQLITE_VERSION_MIN} or newer is needed, because older ones can corrupt a database that two processes checkpoint: use Node 24.15 or newer`,
  );
}

/** Orders versions of up to three parts; `NaN` for anything else. */
function rankOf(version: string): number {
  const [major = 0, minor = 0, patch = 0] = version.split(".").map(Number);
  return (major * 1_000 + minor) * 1_000 + patch;
}
