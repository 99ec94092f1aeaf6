import type { ConfigFlags } from "../config/command-line.ts";
import { parseRef } from "../../shared/replica/ref.ts";
import type { RestoreTarget } from "../../shared/replica/restore-plan.ts";
import { usageError } from "../terminal/output.ts";

/** Options of `eddy restore` as the command line gives them. */
export interface RestoreFlags extends ConfigFlags {
  readonly output?: string;
  readonly txid?: string;
  readonly timestamp?: string;
  readonly integrityCheck: string;
  readonly force?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
  readonly ifDbNotExists?: boolean;
  readonly ifReplicaExists?: boolean;
  readonly parallelism?: string;
  readonly follow?: boolean;
  readonly followInterval: string;
}

/** The point in history that `--txid` or `--timestamp` names; without them the latest. */
export function targetOf({
  txid,
  timestamp,
}: Pick<RestoreFlags, "txid" | "timestamp">): RestoreTarget {
  if (txid !== undefined && timestamp !== undefined) {
    throw usageError("a TXID and a time stamp exclude each other: give one of the two");
  }
  const nowMs = Date.now();
  if (timestamp !== undefined) {
    const target = parseRef(timestamp, nowMs);
    if (target.kind === "time") return target;
    throw usageError(`--timestamp "${timestamp}" is no instant: write 2026-11-24T10:00:00Z or -5m`);
  }
  if (txid === undefined) return { kind: "latest" };
  const target = parseRef(txid, nowMs);
  if (target.kind === "txid") return target;
  throw usageError(`--txid "${txid}" is no TXID: write its 16 hex digits, or txid:42 in decimal`);
}

/** Requests at a time; undefined: as many as the kind of source is best read with. */
export function parallelismOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text);
  throw usageError(`--parallelism is a number of requests, 1 to 999, not "${text}"`);
}
