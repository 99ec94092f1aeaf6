import { isReplicaError } from "../../shared/errors.ts";
import { codeOf } from "./durable-file.ts";

/** No block left, or none for this user. */
const NO_ROOM = new Set(["ENOSPC", "EDQUOT"]);

/** Says whether a file on this machine could not be written because there is no room: that may pass. */
export function isDiskFull(error: unknown): boolean {
  const origin = isReplicaError(error, "LOCAL_FILE") ? error.cause : error;
  return !isReplicaError(origin) && NO_ROOM.has(codeOf(origin) ?? "");
}
