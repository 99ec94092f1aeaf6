import { existsSync, statSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { isReplicaError, ReplicaError, throwIfAborted } from "../../shared/errors.ts";
import type { Slots } from "../../shared/replica/limit-requests.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import type { DatabaseConfig } from "../config/config.ts";
import { replicationOptionsOf } from "../config/replication-options.ts";
import { startStatusObject } from "../control/status-object.ts";
import { promisedRetention } from "../config/replication-options.ts";
import type {
  ControlledDatabase,
  DatabaseStatus,
  SyncAnswer,
} from "../control/controlled-database.ts";
import type { ReplicationEvent } from "../sync/events.ts";
import { Replication } from "../sync/sync-loop.ts";
import type { OnceExtras, ReplicationState } from "../sync/replication-options.ts";
import { hasContent, restoreIfMissing, waitForFile } from "./missing-file.ts";
import { signalAfter } from "./signal-after.ts";

const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 60_000;
/** A start that waits for the store when the end is asked for has so long, in milliseconds. */
const START_GRACE_MS = 3_000;

export interface FleetDatabaseOptions {
  readonly config: DatabaseConfig;
  readonly replica: Replica;
  /** Asked at each error. False: it ends it. */
  readonly retries: () => boolean;
  /** A file that is not there is waited for. */
  readonly waitsForFile: boolean;
  /** Its file may be removed: that is its end, and no failure. */
  readonly mayVanish: boolean;
  /** Holds a place from the start until the first image is in the store, or the store is seen to be away, or the disk to be full. */
  readonly startInTurn: Slots;
  readonly onEvent: (event: ReplicationEvent) => void;
  readonly onNotice: (text: string) => void;
  /** @param retryMs Undefined: it is not tried again. */
  readonly onFailure: (error: unknown, retryMs: number | undefined) => void;
}

/** One of many databases: it starts, fails and is tried again without the others noticing. */
export class FleetDatabase implements ControlledDatabase {
  readonly config: DatabaseConfig;
  readonly #options: FleetDatabaseOptions;
  #status: DatabaseStatus = "stopped";
  #error: unknown;
  #replication: Replication | undefined;
  #inode: string | undefined;
  #lastState: ReplicationState = { txid: undefined, uploaded: undefined, waiting: 0 };
  #life: Promise<void> | undefined;
  #stop = new AbortController();
  #started = Promise.withResolvers<void>();
  #settled = Promise.withResolvers<void>();
  #hasVanished = false;
  #onStoreAway: () => void = () => undefined;

  constructor(options: FleetDatabaseOptions) {
    this.#options = options;
    this.config = options.config;
  }

  get path(): string {
    return this.config.path;
  }

  get replicaUrl(): string {
    return this.config.replica.url;
  }

  get status(): DatabaseStatus {
    return this.#status;
  }

  get error(): string | undefined {
    return this.#error === undefined ? undefined : messageOf(this.#error);
  }

  get state(): ReplicationState {
    return this.#replication?.state ?? this.#lastState;
  }

  get lastSyncAtMs(): number | undefined {
    return this.state.syncedAtMs ?? this.#lastState.syncedAtMs;
  }

  /** Device and number of the file that this process has open for it; undefined when it has none. */
  get inode(): string | undefined {
    return this.#inode;
  }

  /** It ended because its file was removed. */
  get hasVanished(): boolean {
    return this.#hasVanished;
  }

  /** It runs, or will be tried again. */
  get isAlive(): boolean {
    return this.#life !== undefined;
  }

  async sync({ wait, signal }: { wait: boolean; signal: AbortSignal }): Promise<SyncAnswer> {
    const replication = this.#replication;
    if (replication === undefined || this.#status !== "replicating") {
      const why = this.error ?? "it was stopped";
      throw new ReplicaError("SOURCE_INVALID", `${this.path} is not replicated now: ${why}`);
    }
    try {
      const txid = await replication.sync(signal, wait);
      return { txid, uploaded: replication.state.uploaded };
    } catch (error) {
      // What ended the replication says more than that it ended.
      throw isReplicaError(error, "ABORTED") && isReplicaError(error.cause) ? error.cause : error;
    }
  }

  /** Begins to replicate, and goes on until `end`. Does nothing while it runs. */
  begin(): void {
    if (this.#life) return;
    this.#stop = new AbortController();
    this.#started = Promise.withResolvers();
    this.#started.promise.catch(() => undefined);
    this.#settled = Promise.withResolvers();
    this.#hasVanished = false;
    this.#life = this.#live(this.#stop.signal).finally(() => {
      this.#life = undefined;
      this.#settled.resolve();
      // Unless it was: then this changes nothing.
      this.#started.reject(new ReplicaError("ABORTED", `${this.path} was stopped before it ran`));
    });
    this.#life.catch(() => undefined);
  }

  /** Resolves when it replicates; rejects with the first error on the way there. */
  get whenStarted(): Promise<void> {
    return this.#started.promise;
  }

  /** Resolves when it replicates, has failed for the first time, or waits for its file. */
  get whenSettled(): Promise<void> {
    return this.#settled.promise;
  }

  /** Resolves when it was told to end and did; rejects with what ended it before. */
  async whenEnded(): Promise<void> {
    await this.#life;
  }

  /** Ships what is left, for a bounded time. The database stays open, so that the log outlives the process. */
  async end(): Promise<void> {
    this.#stop.abort();
    await this.#life;
    this.#status = "stopped";
  }

  /** Gives up the database's file and its locks. */
  close(): void {
    this.#lastState = this.state;
    this.#replication?.close();
    this.#replication = undefined;
    this.#inode = undefined;
    this.#status = "stopped";
  }

  /**
   * Ships what is committed now.
   *
   * @throws {ReplicaError} As `Replication.start` and `Replication.once`.
   */
  async once(signal: AbortSignal, extras?: OnceExtras): Promise<ReplicationState> {
    return await this.#options.startInTurn(async () => {
      await this.#restore(signal);
      return await (await this.#open(signal)).once(signal, extras);
    });
  }

  async #live(stop: AbortSignal): Promise<void> {
    // Bounded by `stop`.
    for (let failures = 0; !stop.aborted; failures++) {
      try {
        await this.#replicate(stop, () => (failures = 0));
        return;
      } catch (error) {
        const { mayVanish, onFailure } = this.#options;
        const retries = this.#options.retries();
        if (isReplicaError(error, "ABORTED") && stop.aborted) {
          if (retries || this.#status !== "open") return;
          const sentence = `${this.path}: stopped while the store was asked where to go on; nothing was shipped`;
          throw new ReplicaError("ABORTED", sentence, { cause: error });
        }
        // To take it back by itself would mix two histories, each time the other one is idle.
        const isTaken = this.#status === "replicating" && isReplicaError(error, "WRITER_CONFLICT");
        this.#error = error;
        this.#status = "stopped";
        // A process that ends by it keeps the log; one that goes on needs the locks again.
        if (retries) this.close();
        this.#hasVanished = mayVanish && !existsSync(this.path);
        if (this.#hasVanished) return;
        this.#started.reject(error);
        // An old SQLite, a wrong setting or a lost path is as it is until somebody changes it.
        const isWrong = isTaken || isReplicaError(error, "BAD_CONFIG");
        const isFinal = stop.aborted || !retries || isWrong;
        const pauseMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(failures, 10));
        onFailure(error, isFinal ? undefined : pauseMs);
        if (!retries) throw error;
        if (isFinal) return;
        this.#settled.resolve();
        await delay(pauseMs, undefined, { signal: stop }).catch(() => undefined);
      }
    }
  }

  async #replicate(stop: AbortSignal, onSettled: () => void): Promise<void> {
    const { startInTurn, waitsForFile, onNotice } = this.#options;
    if (this.config.restoreIfMissing) await startInTurn(() => this.#restore(stop));
    if (waitsForFile) {
      const isThere = waitForFile(this.path, { signal: stop, onNotice });
      if (!hasContent(this.path)) this.#settled.resolve();
      await isThere;
    }
    throwIfAborted(stop);
    let running: Promise<ReplicationState> | undefined;
    await startInTurn(async () => {
      throwIfAborted(stop);
      // So that what is committed is shipped all the same where the store answers.
      using late = signalAfter(stop, START_GRACE_MS);
      const replication = await this.#open(late.signal);
      running = this.#run(replication, stop);
      // Whoever fails is told by the wait below.
      const ended = running.catch(() => undefined);
      this.#status = "replicating";
      this.#error = undefined;
      this.#started.resolve();
      this.#settled.resolve();
      const shipped = replication.sync(stop).then(onSettled, () => undefined);
      const away = new Promise<void>((resolve) => (this.#onStoreAway = resolve));
      await Promise.race([shipped, away, ended]);
    });
    await running;
  }

  async #run(replication: Replication, stop: AbortSignal): Promise<ReplicationState> {
    const { config, replica, onNotice } = this.#options;
    const { statusIntervalMs: intervalMs } = config;
    if (intervalMs === undefined) return await replication.run(stop);
    const state = () => replication.state;
    const onFailure = (message: string) =>
      onNotice(`${this.path}: eddy/status.json could not be written: ${message}`);
    const retention = promisedRetention(config);
    await using _ = startStatusObject({ replica, state, retention, intervalMs, onFailure });
    return await replication.run(stop);
  }

  async #open(signal: AbortSignal): Promise<Replication> {
    const { config, replica } = this.#options;
    this.#status = "open";
    const file = statSync(config.path, { throwIfNoEntry: false });
    this.#inode = file && inodeOf(file);
    this.#replication = await Replication.start({
      ...replicationOptionsOf(config),
      replica,
      signal,
      onEvent: (event) => {
        // Others, which may be elsewhere, shall not wait for their turn meanwhile.
        if (event.event === "store-unavailable" || event.event === "disk-full") {
          this.#onStoreAway();
        }
        this.#options.onEvent(event);
      },
    });
    return this.#replication;
  }

  async #restore(signal: AbortSignal): Promise<void> {
    const { config, replica, onNotice } = this.#options;
    if (config.restoreIfMissing)
      await restoreIfMissing(replica, { path: config.path, signal, onNotice });
  }
}

/** Tells files apart, whatever their names. */
export function inodeOf({ dev, ino }: { readonly dev: number; readonly ino: number }): string {
  return `${dev}:${ino}`;
}

/** The sentence of an error; for one that nobody foresaw, where it came from too. */
export function messageOf(error: unknown): string {
  if (isReplicaError(error)) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
