/** Many databases, replicated by one process. */
import { once } from "node:events";
import { ReplicaError, throwIfAborted } from "../../shared/errors.ts";
import { slots } from "../../shared/replica/limit-requests.ts";
import type { Environment } from "../../shared/storage/store-url.ts";
import type { Config, DatabaseConfig } from "../config/config.ts";
import { identityOf, openConfiguredReplica, replicaOfUrl } from "../config/replica-place.ts";
import type { ControlTarget } from "../control/controlled-database.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import type { ReplicationEvent } from "../sync/events.ts";
import type { OnceExtras } from "../sync/replication-options.ts";
import { FleetDatabase } from "./fleet-database.ts";
import { FleetFolder } from "./fleet-folder.ts";
import { limitStore } from "./limit-store.ts";
import { hasContent } from "./missing-file.ts";
import { canonicalPath } from "./member-config.ts";

/** Databases that are opened, and ship their first image, at a time. */
const STARTS_MAX = 4;
/** Requests under way at a time, of all databases together: many compact at the same moment. */
const UPLOADS_MAX = 16;
const READS_MAX = 32;

export interface FleetOptions {
  readonly config: Pick<Config, "databases" | "folders" | "defaults">;
  readonly env: Environment;
  /** Asked when a database fails. False: that ends them all, with its error. */
  readonly retries: () => boolean;
  /** Wraps the replica of the database at `path`, so that what is asked of its store is counted. */
  readonly meter?: ((replica: Replica, path: string) => Replica) | undefined;
  /** A database that is not there is waited for. */
  readonly waitsForFiles: boolean;
  readonly onEvent: (database: FleetDatabase, event: ReplicationEvent) => void;
  readonly onNotice: (text: string) => void;
  /** @param retryMs Undefined: it is not tried again. */
  readonly onFailure: (
    database: FleetDatabase,
    error: unknown,
    retryMs: number | undefined,
  ) => void;
}

/** Starts, watches and stops many databases; what happens to one is nothing to the others. */
export class Fleet implements ControlTarget {
  readonly #options: FleetOptions;
  readonly #startInTurn = slots(STARTS_MAX);
  readonly #limits = { uploads: slots(UPLOADS_MAX), reads: slots(READS_MAX) };
  /** By canonical path. */
  readonly #members = new Map<string, FleetDatabase>();
  /** By the identity of the replica. */
  readonly #replicas = new Map<string, FleetDatabase>();
  readonly #folders: readonly FleetFolder[];
  /** Rejects with what ends them all. */
  readonly #failed = Promise.withResolvers<never>();

  /** @throws {ReplicaError} `BAD_CONFIG` when a replica cannot be opened, such as for want of credentials. */
  constructor(options: FleetOptions) {
    this.#options = options;
    this.#failed.promise.catch(() => undefined);
    this.#folders = options.config.folders.map(
      (config) =>
        new FleetFolder({
          config,
          add: (found) => this.#add(found, true),
          remove: (database) => this.#forget(database),
          openInodes: () => new Set(this.databases().map(({ inode }) => inode)),
          onNotice: options.onNotice,
        }),
    );
    for (const config of options.config.databases) this.#add(config, false);
  }

  databases(): readonly FleetDatabase[] {
    return [...this.#members.values()];
  }

  find(path: string): FleetDatabase | undefined {
    return this.#members.get(canonicalPath(path));
  }

  /**
   * Replicates all databases until `signal` fires; then ships what is left, for a bounded time.
   *
   * @param onStarted Called when every database runs, has failed for the first time, or waits for its file.
   * @throws {ReplicaError} What ended a database, where `retries` is off; `R2_ERROR` when files are left that
   *   are not in the store.
   */
  async run(signal: AbortSignal, onStarted: () => void = () => undefined): Promise<void> {
    for (const folder of this.#folders) folder.scan();
    for (const database of this.databases()) this.#begin(database);
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    const watching = Promise.all(this.#folders.map((folder) => folder.watch(either)));
    watching.catch((error: unknown) => this.#failed.reject(error));
    void this.#tellStart(onStarted);
    let ends: readonly PromiseSettledResult<unknown>[] = [];
    try {
      await Promise.race([whenAborted(signal), this.#failed.promise]);
    } finally {
      stop.abort();
      await Promise.allSettled([watching]);
      ends = await Promise.allSettled(this.databases().map((database) => database.end()));
    }
    const failed = ends.find((end) => end.status === "rejected");
    if (failed) throw failed.reason;
    this.#refuseLeftovers("R2_ERROR");
  }

  /**
   * Ships what is committed now in each database.
   *
   * @throws {ReplicaError} What the first one that failed threw, after all were tried.
   */
  async once(signal: AbortSignal, extras: OnceExtras = {}): Promise<void> {
    for (const folder of this.#folders) folder.scan();
    const errors: unknown[] = [];
    const shipping = this.databases().map(async (database) => {
      try {
        throwIfAborted(signal);
        await database.once(signal, extras);
      } catch (error) {
        errors.push(error);
        if (this.#members.size > 1) this.#options.onFailure(database, error, undefined);
      }
    });
    await Promise.all(shipping);
    if (errors.length > 0) throw errors[0];
    this.#refuseLeftovers(signal.aborted ? "ABORTED" : "R2_ERROR");
  }

  async start(path: string, signal: AbortSignal): Promise<FleetDatabase> {
    const database = this.#found(path);
    if (database.isAlive && database.status === "replicating") return database;
    refuseMissing(database.config);
    // One that failed is tried again now, and not when its pause is over.
    if (database.error !== undefined) await this.#stop(database);
    const wasAlive = database.isAlive;
    this.#begin(database);
    try {
      await untilAborted(database.whenStarted, signal);
    } catch (error) {
      // One that was about to start goes on with that, whoever lost patience.
      if (!wasAlive) await this.#stop(database);
      throw error;
    }
    return database;
  }

  async stop(path: string, signal: AbortSignal): Promise<FleetDatabase> {
    const database = this.#found(path);
    await untilAborted(this.#stop(database), signal);
    return database;
  }

  async register(path: string, replicaUrl: string, signal: AbortSignal): Promise<FleetDatabase> {
    const { defaults } = this.#options.config;
    const config = {
      ...defaults,
      path: canonicalPath(path),
      replica: replicaOfUrl(replicaUrl),
      stagingFolder: undefined,
    };
    refuseMissing(config);
    const database = this.#add(config, false);
    try {
      return await this.start(path, signal);
    } catch (error) {
      await this.#forget(database);
      throw error;
    }
  }

  async unregister(path: string, signal: AbortSignal): Promise<FleetDatabase> {
    const database = this.#found(path);
    for (const folder of this.#folders) folder.ignore(database);
    await untilAborted(this.#forget(database), signal);
    return database;
  }

  /** Gives up all files and locks. A process that ends itself instead keeps the logs, and with them cheap restarts. */
  close(): void {
    for (const database of this.databases()) database.close();
  }

  /** @throws {ReplicaError} `BAD_CONFIG` when the database, or its replica, is another's already. */
  #add(config: DatabaseConfig, mayVanish: boolean): FleetDatabase {
    const { env, retries, waitsForFiles, onEvent, onNotice, onFailure } = this.#options;
    const { meter = (replica) => replica } = this.#options;
    const identity = identityOf(config.replica, env);
    const path = canonicalPath(config.path);
    const twin = this.#members.get(path);
    if (twin) throw taken(`${config.path} is replicated already, to ${twin.replicaUrl}`);
    const rival = this.#replicas.get(identity);
    if (rival) {
      throw taken(`${config.path} and ${rival.path} would share one replica: ${rival.replicaUrl}`);
    }
    const database: FleetDatabase = new FleetDatabase({
      config,
      replica: limitStore(meter(openConfiguredReplica(config.replica, env), path), this.#limits),
      retries,
      waitsForFile: waitsForFiles && !mayVanish,
      mayVanish,
      startInTurn: this.#startInTurn,
      onEvent: (event) => onEvent(database, event),
      onNotice,
      onFailure: (error, retryMs) => onFailure(database, error, retryMs),
    });
    this.#members.set(path, database);
    this.#replicas.set(identity, database);
    return database;
  }

  async #tellStart(onStarted: () => void): Promise<void> {
    await Promise.all(this.databases().map(({ whenSettled }) => whenSettled));
    // One that ended instead is the end of all of them.
    if (this.#options.retries() || this.databases().every(({ isAlive }) => isAlive)) onStarted();
  }

  #begin(database: FleetDatabase): void {
    database.begin();
    database.whenEnded().catch((error: unknown) => this.#failed.reject(error));
  }

  async #stop(database: FleetDatabase): Promise<void> {
    try {
      await database.end();
    } finally {
      database.close();
    }
  }

  async #forget(database: FleetDatabase): Promise<void> {
    await this.#stop(database);
    for (const map of [this.#members, this.#replicas]) {
      for (const [key, member] of map) if (member === database) map.delete(key);
    }
  }

  #found(path: string): FleetDatabase {
    const database = this.find(path);
    if (database) return database;
    throw new ReplicaError("DB_NOT_FOUND", `${path} is none of this replicator's databases`);
  }

  #refuseLeftovers(code: "ABORTED" | "R2_ERROR"): void {
    const waiting = this.databases().reduce((sum, { state }) => sum + state.waiting, 0);
    if (waiting === 0) return;
    throw new ReplicaError(
      code,
      `${waiting} LTX files are staged and not in the store; they are uploaded when the replicator is started again`,
    );
  }
}

/** Whoever asks waits for an answer: a file that may come some day is none. */
function refuseMissing({ path, restoreIfMissing }: DatabaseConfig): void {
  if (restoreIfMissing || hasContent(path)) return;
  throw new ReplicaError(
    "SOURCE_INVALID",
    `there is no database at ${path} yet: try again when its application has made it`,
  );
}

function taken(sentence: string): ReplicaError {
  return new ReplicaError("BAD_CONFIG", `${sentence}; give each database a path of its own`);
}

async function whenAborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}

/** @throws {ReplicaError} `ABORTED` when `signal` fires first; `work` goes on then. */
async function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  throwIfAborted(signal);
  const aborted = Promise.withResolvers<void>();
  const leave = () => aborted.resolve();
  signal.addEventListener("abort", leave, { once: true });
  try {
    await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
  throwIfAborted(signal);
}
