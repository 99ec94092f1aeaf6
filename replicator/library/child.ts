/**
 * The process behind `replicate`: it replicates one database for the application that started it, and ends
 * with it. Started by `fork` only, with its options in JSON as the one argument.
 */
import { isReplicaError, ReplicaError } from "../../shared/errors.ts";
import { formatTxid } from "../../shared/ltx/txid.ts";
import { installCodecKernel } from "../codec-kernel.ts";
import { openReplica } from "../storage/open-store.ts";
import { Replication } from "../sync/sync-loop.ts";
import type { FailureMessage, Message, ReplicaStatus, Request, StartOptions } from "./protocol.ts";

const [text = ""] = process.argv.slice(2);
const stop = new AbortController();
// The application's end, whatever it was: what is left is shipped first.
process.on("disconnect", () => stop.abort());
process.on("SIGTERM", () => stop.abort());
// Ctrl-C goes to the application too, which may have something to commit still.
process.on("SIGINT", () => undefined);

let code = 0;
try {
  installCodecKernel();
  await run(JSON.parse(text) as StartOptions);
  await send({ type: "ended" });
} catch (error) {
  code = 1;
  await send({ type: "failed", error: describe(error) });
}
// Not by running out: SQLite would then close the database as its last user, and remove the log.
process.exit(code);

async function run({ path, url, syncIntervalMs, lease }: StartOptions): Promise<void> {
  const replica = openReplica(url, { env: process.env, writing: true });
  const replication = await Replication.start({
    databasePath: path,
    replica,
    syncIntervalMs,
    lease,
    edgeBundle: true,
    onEvent: (event) => void send({ type: "event", event }),
  });
  process.on("message", (request: Request) => {
    if (request.ask === "close") stop.abort();
    else void answer(replication, request).then((message) => message && send(message));
  });
  void send({ type: "started" });
  const { waiting } = await replication.run(stop.signal);
  if (waiting === 0) return;
  throw new ReplicaError(
    "R2_ERROR",
    `${waiting} LTX files are staged and not in the store; they are uploaded when ${path} is replicated again`,
  );
}

/** Undefined when the replication ends instead: by what, is told with its end. */
async function answer(
  replication: Replication,
  { id, ask }: Exclude<Request, { ask: "close" }>,
): Promise<Message | undefined> {
  if (ask === "status") return { type: "answer", id, status: statusOf(replication) };
  try {
    const txid = await replication.sync(new AbortController().signal);
    return { type: "answer", id, txid: txid === undefined ? undefined : formatTxid(txid) };
  } catch (error) {
    if (isReplicaError(error, "ABORTED")) return undefined;
    return { type: "answer", id, error: describe(error) };
  }
}

function statusOf({ state }: Replication): ReplicaStatus {
  const { txid, uploaded, waiting, syncedAtMs } = state;
  return {
    txid: txid === undefined ? undefined : formatTxid(txid),
    uploadedTxid: uploaded === undefined ? undefined : formatTxid(uploaded),
    waiting,
    lastSyncAt: syncedAtMs === undefined ? undefined : new Date(syncedAtMs),
  };
}

function describe(error: unknown): FailureMessage {
  if (isReplicaError(error)) {
    return { code: error.code, message: error.message, details: error.details };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: undefined, message, details: {} };
}

/** Resolves when the message is on its way; without an application there is nobody to tell. */
async function send(message: Message): Promise<void> {
  if (!process.connected) return;
  await new Promise<void>((resolve) => process.send?.(message, () => resolve()));
}
