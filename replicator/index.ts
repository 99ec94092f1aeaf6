/**
 * Eddy for a Node application: one call replicates its database while it runs.
 *
 * @example
 *   await using replica = await replicate({ path: "app.db", url: "r2://ACCOUNT_ID/bucket/app.db" });
 *   database.exec("INSERT …");
 *   const { txid } = await replica.waitForUpload(); // that row is in the bucket now
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { assert } from "../shared/assert.ts";
import { ReplicaError } from "../shared/errors.ts";
import { parseDuration } from "./config/duration.ts";
import { localPath } from "./config/local-path.ts";
import type {
  FailureMessage,
  Message,
  ReplicaStatus,
  Request,
  StartOptions,
} from "./library/protocol.ts";
import { moduleBeside } from "./module-beside.ts";
import type { ReplicationEvent } from "./sync/events.ts";

const CHILD = fileURLToPath(moduleBeside("./library/child", import.meta.url));

export interface ReplicateOptions {
  /** The database file. It must exist; the application goes on using it. */
  readonly path: string;
  /** The replica: `r2://ACCOUNT_ID/bucket/path`, `s3://bucket/path?endpoint=…`, or `file:///folder`. */
  readonly url: string;
  /** Steady writing is shipped as one file in so long: milliseconds, or text such as `10ms`. One second by default. */
  readonly syncInterval?: number | string | undefined;
  /** False: no lease is taken (`lock.json`), for stores without conditional writes; the path must have one writer then. */
  readonly lease?: boolean | undefined;
  /** Environment variables in addition to this process' own, such as credentials. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Told what happens, as `eddy replicate --json` prints it. */
  readonly onEvent?: ((event: ReplicationEvent) => void) | undefined;
  /**
   * Told what ends the replication while nobody waits for an upload. Without it the process gets a warning,
   * which Node prints.
   */
  readonly onError?: ((error: Error) => void) | undefined;
}

/** A database that is being replicated. */
export interface RunningReplica extends AsyncDisposable {
  /**
   * Ships at once all that is committed when it is called, and waits until it is in the store.
   *
   * @returns The TXID that holds it, 16 hex digits: what the Worker takes as `txid`. Undefined for a
   *   database in which nothing was ever committed.
   * @throws {ReplicaError} What ended the replication: `WRITER_CONFLICT`, `SOURCE_INVALID`, `LOCAL_FILE`;
   *   `ABORTED` when it is closed.
   */
  waitForUpload(): Promise<{ readonly txid: string | undefined }>;
  /** @throws {ReplicaError} As `waitForUpload`. */
  status(): Promise<ReplicaStatus>;
  /**
   * Ships what is left, for 30 seconds at most, and ends. Closing twice is closing once.
   *
   * @throws {ReplicaError} What ended the replication, unless it was told before; `R2_ERROR` when files are
   *   left that are not in the store.
   */
  close(): Promise<void>;
}

/**
 * Replicates a database for as long as this process runs, or until it is closed.
 *
 * It happens in a child process: a second copy of SQLite in this one would break the locks of the
 * application's own. The child ends when this process does, however it does.
 *
 * @throws {ReplicaError} `BAD_CONFIG`, `SOURCE_INVALID`, `WRITER_CONFLICT`, and what the store answers.
 */
export async function replicate(options: ReplicateOptions): Promise<RunningReplica> {
  const { path, url, syncInterval, lease, env } = options;
  const syncIntervalMs =
    typeof syncInterval === "string" ? parseDuration(syncInterval, "syncInterval") : syncInterval;
  const start: StartOptions = { path: localPath(path), url, syncIntervalMs, lease };
  const child = fork(CHILD, [JSON.stringify(start)], {
    env: { ...process.env, ...env },
    // Flags of this process, such as --inspect, are not for that one.
    execArgv: [],
    serialization: "advanced",
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const replica = new ChildReplica(child, options);
  await replica.whenStarted();
  return replica;
}

class ChildReplica implements RunningReplica {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #started = Promise.withResolvers<void>();
  readonly #pending = new Map<number, PromiseWithResolvers<Answer>>();
  readonly #onError: (error: Error) => void;
  #nextId = 1;
  #isClosing = false;
  #isRunning = false;
  /** What ended it, and whether somebody was told. */
  #failure: Error | undefined;
  #isFailureTold = false;

  constructor(child: ChildProcess, { onEvent, onError }: ReplicateOptions) {
    this.#child = child;
    this.#onError = onError ?? ((error) => process.emitWarning(error));
    child.on("message", (message: Message) => {
      if (message.type === "event") onEvent?.(message.event);
      else this.#receive(message);
    });
    // Its last words may come after its end.
    this.#ended = Promise.all([once(child, "exit"), once(child, "disconnect")]).then(
      () => this.#end(undefined),
      (error: Error) => this.#end(error),
    );
  }

  async whenStarted(): Promise<void> {
    await this.#started.promise;
    this.#isRunning = true;
    this.#keepAlive();
  }

  async waitForUpload(): Promise<{ readonly txid: string | undefined }> {
    const answer = await this.#ask("upload");
    return { txid: "txid" in answer ? answer.txid : undefined };
  }

  async status(): Promise<ReplicaStatus> {
    const answer = await this.#ask("status");
    assert("status" in answer, "the answer is one to the question");
    return answer.status;
  }

  async close(): Promise<void> {
    if (!this.#isClosing && this.#child.connected) {
      // Whether it arrives or not: its end, which follows, says more.
      this.#child.send({ ask: "close" } satisfies Request, () => undefined);
    }
    this.#isClosing = true;
    this.#keepAlive();
    await this.#ended;
    if (this.#failure && !this.#isFailureTold) throw this.#tell(this.#failure);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #ask(ask: "upload" | "status"): Promise<Answer> {
    if (this.#failure) throw this.#tell(this.#failure);
    if (this.#isClosing) throw closed();
    const id = this.#nextId++;
    const answer = Promise.withResolvers<Answer>();
    this.#pending.set(id, answer);
    this.#keepAlive();
    this.#child.send({ id, ask } satisfies Request, () => undefined);
    try {
      return await answer.promise;
    } finally {
      this.#pending.delete(id);
      this.#keepAlive();
    }
  }

  /** This process lives on for its sake only while something is waited for. */
  #keepAlive(): void {
    const isNeeded = this.#pending.size > 0 || this.#isClosing;
    for (const handle of [this.#child, this.#child.channel]) {
      if (isNeeded) handle?.ref();
      else handle?.unref();
    }
  }

  #receive(message: Exclude<Message, { type: "event" }>): void {
    if (message.type === "started") this.#started.resolve();
    if (message.type === "failed") this.#failure = errorOf(message.error);
    if (message.type !== "answer") return;
    const answer = this.#pending.get(message.id);
    if ("error" in message) answer?.reject(errorOf(message.error));
    else answer?.resolve(message);
  }

  #end(cause: Error | undefined): void {
    if (!this.#isClosing && this.#failure === undefined) {
      const { exitCode, signalCode } = this.#child;
      const how = cause?.message ?? signalCode ?? `exit code ${exitCode}`;
      const sentence = `the replicator's process ended (${how}): what is staged is uploaded when it is started again`;
      this.#failure = new ReplicaError("ABORTED", sentence, { cause });
    }
    const reason = this.#failure ?? closed();
    const isWaitedFor = this.#pending.size > 0 || this.#isClosing || !this.#isRunning;
    this.#started.reject(reason);
    if (this.#pending.size > 0) this.#tell(reason);
    for (const { reject } of this.#pending.values()) reject(reason);
    if (!isWaitedFor) this.#onError(this.#tell(reason));
  }

  #tell(failure: Error): Error {
    this.#isFailureTold = true;
    return failure;
  }
}

type Answer = Extract<Message, { type: "answer"; status: ReplicaStatus } | { txid: unknown }>;

function closed(): ReplicaError {
  return new ReplicaError("ABORTED", "the replica was closed");
}

function errorOf({ code, message, details }: FailureMessage): Error {
  return code === undefined ? new Error(message) : new ReplicaError(code, message, { details });
}
