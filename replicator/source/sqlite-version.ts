import { ReplicaError } from "../../shared/errors.ts";

/** The first SQLite whose log cannot be reset under a checkpointing process. */
const SQLITE_VERSION_MIN = "3.51.3";

/** @throws {ReplicaError} `BAD_CONFIG` when this Node brings a SQLite that can corrupt a database. */
export function refuseOldSqlite(): void {
  const version = process.versions["sqlite"] ?? "0";
  const [found, needed] = [version, SQLITE_VERSION_MIN].map((text) =>
    text.split(".").reduce((sum, part) => sum * 1_000 + Number(part), 0),
  );
  if ((found ?? 0) >= (needed ?? 0)) return;
  throw new ReplicaError(
    "BAD_CONFIG",
    `this Node brings SQLite ${version}; ${SQLITE_VERSION_MIN} or newer is needed, because older ones can corrupt a database that two processes checkpoint: use Node 24.15 or newer`,
  );
}
