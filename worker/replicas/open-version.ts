import { ReplicaError, isReplicaError } from "../../shared/errors.ts";
import { formatTxid, type Txid } from "../../shared/ltx/txid.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { parseRef } from "../../shared/replica/ref.ts";
import type { RestoreTarget } from "../../shared/replica/restore-plan.ts";
import { waitMsOf, type Freshness } from "../http/parameters.ts";
import type { Head } from "./follow-head.ts";
import type { Library } from "./library.ts";
import type { OpenedSnapshot } from "./opened-snapshot.ts";

const POLL_MS_MIN = 50;
const POLL_MS_MAX = 500;

/** How a `ref` names its version: what it leads to may move with the clock or with the replica. */
export type RefKind = "latest" | "txid" | "instant" | "relative";

/** The version of a database that a request asked for. */
export interface Version extends OpenedSnapshot {
  readonly kind: RefKind;
  /** False when the replica is coarser than the moment that was asked for. */
  readonly exact: boolean;
  /** What the `ref` leads to will not change: a TXID, or a moment that lies behind the head. */
  readonly isSettled: boolean;
}

export interface VersionRequest {
  readonly library: Library;
  readonly replica: Replica;
  /** Undefined for the newest. */
  readonly at: string | undefined;
  readonly freshness: Freshness;
  readonly headTtlMs: number;
  readonly nowMs: number;
  readonly signal: AbortSignal;
}

/** A version that a request may begin to work with. */
export interface BegunVersion {
  readonly version: Version;
  /** The version that it has to answer from, where that is still being found out. */
  readonly settled?: Promise<Version> | undefined;
}

/**
 * Opens the database at the version that a request names, waiting for `min_txid` where it is asked to.
 * Where nothing is known of the newest version and an edge bundle is there, it may begin with the
 * bundle's, while what is newer is being found out.
 *
 * @throws {ReplicaError} `BAD_REF`, `REPLICA_BEHIND`, `TXID_TOO_NEW`, `VERSION_EXPIRED`,
 *   `TIME_OUT_OF_RANGE` and what reading the replica throws.
 */
export async function beginVersion(request: VersionRequest): Promise<BegunVersion> {
  const { library, replica, freshness, nowMs, signal } = request;
  const at = withPlus(request.at ?? "latest");
  const target = parseRef(at, nowMs);
  const { minTxid } = freshness;
  if (minTxid !== undefined) await waitForTxid(request, minTxid, waitMsOf(freshness));
  if (target.kind === "txid") {
    const opened = await openTxid(request, target.txid);
    return { version: { ...opened, kind: "txid", exact: true, isSettled: true } };
  }
  if (target.kind === "time") {
    const opened = await library.openTime(replica, target, { signal });
    const kind = isRelative(at, target, nowMs) ? "relative" : "instant";
    const headTxid = library.knownHead(replica)?.plan.txid ?? 0n;
    const isSettled = kind === "instant" && headTxid > opened.snapshot.txid;
    return { version: { ...opened, kind, isSettled } };
  }
  const { opened, settled } = await library.begin(replica, headOptions(request));
  return { version: toNewest(opened), settled: settled?.then(toNewest) };
}

/** As `beginVersion`, and waits until the version is settled. */
export async function openVersion(request: VersionRequest): Promise<Version> {
  const { version, settled } = await beginVersion(request);
  return settled ?? version;
}

function toNewest(opened: OpenedSnapshot): Version {
  return { ...opened, kind: "latest", exact: true, isSettled: false };
}

/** A TXID that is not there yet is waited for where the client said `wait_ms`. */
async function openTxid(request: VersionRequest, txid: Txid): Promise<OpenedSnapshot> {
  const { library, replica, freshness, signal } = request;
  try {
    return await library.openTxid(replica, txid, { signal });
  } catch (error) {
    if (!isReplicaError(error, "TXID_TOO_NEW") || freshness.waitMs === undefined) throw error;
    await waitForTxid(request, txid, freshness.waitMs);
    return library.openTxid(replica, txid, { signal });
  }
}

/** Polls the head, with a timer of this request's own, until it has reached `txid`. */
async function waitForTxid(request: VersionRequest, txid: Txid, waitMs: number): Promise<void> {
  const { library, replica, signal } = request;
  const deadlineMs = Date.now() + waitMs;
  let head = await library.head(replica, headOptions(request));
  for (
    let pauseMs = POLL_MS_MIN;
    head.plan.txid < txid;
    pauseMs = Math.min(pauseMs * 2, POLL_MS_MAX)
  ) {
    const leftMs = deadlineMs - Date.now();
    if (leftMs <= 0) refuseBehind(head, txid, waitMs);
    await new Promise((resolve) => setTimeout(resolve, Math.min(pauseMs, leftMs)));
    head = await library.head(replica, { maxStaleMs: 0, signal });
  }
}

function refuseBehind({ plan }: Head, txid: Txid, waitMs: number): never {
  const newest = formatTxid(plan.txid);
  throw new ReplicaError(
    "REPLICA_BEHIND",
    `the replica is at TXID ${newest} and has not reached ${formatTxid(txid)} within ${waitMs} ms: ` +
      "ask again, or see whether its replicator runs",
    { details: { txid: newest } },
  );
}

function headOptions({ freshness, headTtlMs, signal }: VersionRequest) {
  return { maxStaleMs: freshness.maxStaleMs ?? headTtlMs, signal };
}

/** In a query string a plus sign that is not escaped has become a space: `…T12:00:00 01:00`. */
function withPlus(at: string): string {
  return at.replace(/^(\d{4}-\d\d-\d\dT\S+) (\d\d:\d\d)$/i, "$1+$2");
}

/** A ref that moves with the clock: a second later it would lead elsewhere. */
function isRelative(at: string, target: RestoreTarget, nowMs: number): boolean {
  const later = parseRef(at, nowMs + 1_000);
  return later.kind === "time" && target.kind === "time" && later.beforeMs !== target.beforeMs;
}
