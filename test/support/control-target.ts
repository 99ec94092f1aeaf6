/** A `ControlTarget` over real replications of real SQLite files: what the replicate command runs, without its command line. */
import { resolve } from "node:path";
import type {
  ControlledDatabase,
  ControlTarget,
  DatabaseStatus,
  SyncAnswer,
} from "../../replicator/control/controlled-database.ts";
import { openReplica } from "../../replicator/storage/open-store.ts";
import type { ReplicationEvent } from "../../replicator/sync/events.ts";
import type { ReplicationState } from "../../replicator/sync/replication-options.ts";
import { Replication } from "../../replicator/sync/sync-loop.ts";
import { ReplicaError } from "../../shared/errors.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";

export interface ReplicationTargetOptions {
  readonly now?: () => number;
  /** Wraps each replica, as metrics and faults do. */
  readonly wrap?: (replica: Replica, databasePath: string) => Replica;
  readonly onEvent?: (event: ReplicationEvent, databasePath: string) => void;
  readonly syncIntervalMs?: number;
}

export class ReplicationTarget implements ControlTarget, AsyncDisposable {
  readonly #databases = new Map<string, ReplicatedDatabase>();
  readonly #options: ReplicationTargetOptions;

  constructor(options: ReplicationTargetOptions = {}) {
    this.#options = options;
  }

  databases(): readonly ControlledDatabase[] {
    return [...this.#databases.values()];
  }

  find(path: string): ControlledDatabase | undefined {
    return this.#databases.get(resolve(path));
  }

  async start(path: string): Promise<ControlledDatabase> {
    const database = this.#known(path);
    await database.start();
    return database;
  }

  async stop(path: string): Promise<ControlledDatabase> {
    const database = this.#known(path);
    await database.stop();
    return database;
  }

  async register(path: string, replicaUrl: string): Promise<ControlledDatabase> {
    const database = new ReplicatedDatabase(resolve(path), replicaUrl, this.#options);
    await database.start();
    this.#databases.set(database.path, database);
    return database;
  }

  async unregister(path: string): Promise<ControlledDatabase> {
    const database = this.#known(path);
    await database.stop();
    this.#databases.delete(database.path);
    return database;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const database of this.#databases.values()) await database.stop();
  }

  #known(path: string): ReplicatedDatabase {
    const database = this.#databases.get(resolve(path));
    if (!database) throw new ReplicaError("DB_NOT_FOUND", `${path} is not replicated here`);
    return database;
  }
}

class ReplicatedDatabase implements ControlledDatabase {
  readonly path: string;
  readonly replicaUrl: string;
  readonly #options: ReplicationTargetOptions;
  #running:
    | { replication: Replication; stop: AbortController; ended: Promise<unknown> }
    | undefined;
  #state: ReplicationState = { txid: undefined, uploaded: undefined, waiting: 0 };
  #error: string | undefined;
  #lastSyncAtMs: number | undefined;

  constructor(path: string, replicaUrl: string, options: ReplicationTargetOptions) {
    this.path = path;
    this.replicaUrl = replicaUrl;
    this.#options = options;
  }

  get status(): DatabaseStatus {
    return this.#running ? "replicating" : "stopped";
  }

  get error(): string | undefined {
    return this.#error;
  }

  get state(): ReplicationState {
    return this.#running?.replication.state ?? this.#state;
  }

  get lastSyncAtMs(): number | undefined {
    return this.#lastSyncAtMs;
  }

  async sync({ wait, signal }: { wait: boolean; signal: AbortSignal }): Promise<SyncAnswer> {
    if (!this.#running) throw new ReplicaError("SOURCE_INVALID", `${this.path} is stopped`);
    const { replication } = this.#running;
    if (!wait) {
      // The seam's `Replication` has no "stage only" yet: what is staged is what it stages by itself.
      const { txid, uploaded } = replication.state;
      return { txid, uploaded };
    }
    const txid = await replication.sync(signal);
    this.#lastSyncAtMs = this.#now();
    return { txid, uploaded: replication.state.uploaded };
  }

  async start(): Promise<void> {
    if (this.#running) return;
    const { wrap = (replica) => replica, onEvent, syncIntervalMs } = this.#options;
    const replica = openReplica(this.replicaUrl, { env: process.env, writing: true });
    const replication = await Replication.start({
      databasePath: this.path,
      replica: wrap(replica, this.path),
      syncIntervalMs,
      onEvent: (event) => {
        onEvent?.(event, this.path);
        if (event.event === "uploaded") this.#lastSyncAtMs = this.#now();
      },
    });
    const stop = new AbortController();
    const ended = this.#follow(replication, stop.signal);
    this.#error = undefined;
    this.#running = { replication, stop, ended };
  }

  async #follow(replication: Replication, stop: AbortSignal): Promise<void> {
    try {
      this.#state = await replication.run(stop);
    } catch (error) {
      this.#error = (error as Error).message;
      this.#state = replication.state;
      this.#running = undefined;
      replication.close();
    }
  }

  async stop(): Promise<void> {
    const running = this.#running;
    if (!running) return;
    running.stop.abort();
    await running.ended;
    this.#running = undefined;
    running.replication.close();
  }

  #now(): number {
    return (this.#options.now ?? Date.now)();
  }
}
