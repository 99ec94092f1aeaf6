/** What the control socket answers. Paths, fields and words are Litestream's. */
import { ReplicaError } from "../../shared/errors.ts";
import { formatInstant } from "../../shared/instant.ts";
import type { Txid } from "../../shared/ltx/txid.ts";
import type { ControlledDatabase, ControlTarget } from "./controlled-database.ts";
import type {
  ChangeReply,
  InfoReply,
  ListReply,
  ListedDatabase,
  RegisterReply,
  SyncReply,
} from "./protocol.ts";
import type { ControlRequest } from "./read-request.ts";

/** What the routes know of the process that they run in. */
export interface ControlContext {
  readonly target: ControlTarget;
  readonly version: string;
  readonly startedAtMs: number;
  readonly now: () => number;
}

type Get = (context: ControlContext, query: URLSearchParams) => object;
type Post = (
  context: ControlContext,
  request: ControlRequest,
  signal: AbortSignal,
) => Promise<object>;

/** By path, for `GET`. */
export const GET_ROUTES: ReadonlyMap<string, Get> = new Map<string, Get>([
  ["/info", info],
  ["/list", list],
  ["/txid", txid],
]);

/** By path, for `POST`. */
export const POST_ROUTES: ReadonlyMap<string, Post> = new Map<string, Post>([
  ["/sync", sync],
  ["/start", start],
  ["/stop", stop],
  ["/register", register],
  ["/unregister", unregister],
]);

function info({ target, version, startedAtMs, now }: ControlContext): InfoReply {
  return {
    version,
    pid: process.pid,
    uptime_seconds: Math.max(0, Math.floor((now() - startedAtMs) / 1_000)),
    started_at: formatInstant(startedAtMs),
    database_count: target.databases().length,
  };
}

function list({ target }: ControlContext): ListReply {
  const databases = target.databases().map(({ path, status, lastSyncAtMs, error }) => {
    const listed: ListedDatabase = {
      path,
      status,
      ...(lastSyncAtMs !== undefined && { last_sync_at: formatInstant(lastSyncAtMs) }),
      ...(error !== undefined && { error }),
    };
    return listed;
  });
  return { databases };
}

function txid({ target }: ControlContext, query: URLSearchParams): { readonly txid: number } {
  const path = query.get("path") ?? "";
  if (path === "") throw new ReplicaError("BAD_REQUEST", "path required");
  return { txid: toNumber(known(target, path).state.txid) };
}

async function sync(
  { target }: ControlContext,
  { path, wait }: ControlRequest,
  signal: AbortSignal,
): Promise<SyncReply> {
  const database = known(target, path);
  if (database.status === "stopped") throw notOpen(database);
  const before = database.state.txid;
  const answer = await database.sync({ wait, signal });
  const changed = wait ? "synced" : "synced_local";
  return {
    status: answer.txid === before ? "no_change" : changed,
    path: database.path,
    txid: toNumber(answer.txid),
    replicated_txid: toNumber(answer.uploaded),
  };
}

async function start(
  { target }: ControlContext,
  { path }: ControlRequest,
  signal: AbortSignal,
): Promise<ChangeReply> {
  const wasStopped = known(target, path).status === "stopped";
  const database = await target.start(path, signal);
  return change(wasStopped ? "started" : "already_running", database);
}

async function stop(
  { target }: ControlContext,
  { path }: ControlRequest,
  signal: AbortSignal,
): Promise<ChangeReply> {
  const wasStopped = known(target, path).status === "stopped";
  const database = await target.stop(path, signal);
  return change(wasStopped ? "already_stopped" : "stopped", database);
}

async function register(
  { target }: ControlContext,
  { path, replicaUrl }: ControlRequest,
  signal: AbortSignal,
): Promise<RegisterReply> {
  if (replicaUrl === undefined || replicaUrl === "") {
    throw new ReplicaError("BAD_REQUEST", "replica_url required");
  }
  const there = target.find(path);
  if (there) {
    // Not passed over, as Litestream does: whoever asks would believe in a replica that is not written.
    if (there.replicaUrl !== replicaUrl) throw registeredElsewhere(there);
    return { status: "already_registered", path: there.path };
  }
  const database = await target.register(path, replicaUrl, signal);
  return { status: "registered", path: database.path };
}

async function unregister(
  { target }: ControlContext,
  { path }: ControlRequest,
  signal: AbortSignal,
): Promise<ChangeReply> {
  if (!target.find(path)) return { status: "already_unregistered", path, txid: 0 };
  return change("unregistered", await target.unregister(path, signal));
}

function change(status: string, { path, state }: ControlledDatabase): ChangeReply {
  return { status, path, txid: toNumber(state.txid) };
}

function known(target: ControlTarget, path: string): ControlledDatabase {
  const database = target.find(path);
  if (database) return database;
  throw new ReplicaError(
    "DB_NOT_FOUND",
    `database not found: ${path} is none of those that this process replicates (eddy list shows them)`,
  );
}

function notOpen({ path, error }: ControlledDatabase): ReplicaError {
  const why = error === undefined ? "it was stopped" : error;
  return new ReplicaError(
    "SOURCE_INVALID",
    `database not open: ${path} is not replicated at the moment (${why}); eddy start ${path} goes on with it`,
  );
}

function registeredElsewhere({ path, replicaUrl }: ControlledDatabase): ReplicaError {
  return new ReplicaError(
    "SOURCE_INVALID",
    `${path} is replicated to ${replicaUrl} already: unregister it first if it is to go elsewhere`,
  );
}

/** TXIDs count files, one a second at most: they fit a double for some 285 million years. */
function toNumber(value: Txid | undefined): number {
  return Number(value ?? 0n);
}
