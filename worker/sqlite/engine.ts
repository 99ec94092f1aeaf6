import { Admission } from "./admission.ts";
import type { SqliteBuild } from "./build.ts";
import { LiveInstance } from "./live-instance.ts";
import { MemoryBudget, type MemoryHolder } from "./memory-budget.ts";
import { selfTest } from "./self-test.ts";

/** Queries that run at a time, and those in flight with the ones that wait for their turn. */
const RUNNING_MAX = 8;
const IN_FLIGHT_MAX = 64;

/** What SQLite may allocate for all queries of the isolate together, in bytes. */
const HEAP_BYTES_MAX = 24 * 1024 * 1024;

/**
 * The wasm memories of all engines together, in bytes. sql.js begins with 22 MB, of which 5 are not its
 * heap, and the official build with 8 MB. The caches have 54 MB of the isolate's 128 MB.
 */
const MEMORY_BYTES_MAX = 36 * 1024 * 1024;

/** Queries that will never end and still hold memory, before the instance is left to them. */
const GONE_RUNNERS_MAX = 4;

/** Figures of an engine, for health and for tests. */
export interface EngineStats {
  readonly running: number;
  readonly waiting: number;
  readonly idleConnections: number;
  /** Connections in use, those of queries that will never end among them. */
  readonly busyConnections: number;
  readonly stacks: number;
  /** Instances that were given up after an exception that SQLite did not raise. */
  readonly retired: number;
  readonly memoryBytes: number;
}

export interface EngineOptions {
  readonly now?: () => number;
  /** Shared by the engines of an isolate, so that all of their queries together have one bound. */
  readonly admission?: Admission;
  /** Shared by them too. */
  readonly memory?: MemoryBudget;
}

function newAdmission(now?: () => number): Admission {
  return new Admission({ runningMax: RUNNING_MAX, inFlightMax: IN_FLIGHT_MAX }, now);
}

/** One build of SQLite in this isolate: one instance at a time, and who may run on it. */
export class Engine implements MemoryHolder {
  readonly name: SqliteBuild["name"];
  readonly admission: Admission;
  readonly #build: SqliteBuild;
  readonly #memory: MemoryBudget;
  /** Undefined until a query needs it, and again after it was given up while nobody used it. */
  #live: LiveInstance | undefined;
  #retired = 0;
  #goneRunnersBefore = 0;

  constructor(
    build: SqliteBuild,
    {
      now,
      admission = newAdmission(now),
      memory = new MemoryBudget(MEMORY_BYTES_MAX),
    }: EngineOptions = {},
  ) {
    this.admission = admission;
    this.#memory = memory;
    memory.join(this);
    this.#build = build;
    this.name = build.name;
  }

  /** The instance that new queries run on: a new one after the last was retired, or has leaked. */
  get live(): LiveInstance {
    const gone = this.admission.goneRunnerCount;
    const hasLeaked = gone - this.#goneRunnersBefore >= GONE_RUNNERS_MAX;
    if (this.#live !== undefined && (this.#live.isRetired || hasLeaked)) {
      this.#live = undefined;
      this.#retired++;
    }
    return (this.#live ??= this.#start());
  }

  /** Starts the instance that the next query would start. */
  warm(): void {
    void this.live;
  }

  get memoryBytes(): number {
    return this.#live?.sqlite.memoryBytes ?? 0;
  }

  /** Gives up the instance, unless a query is on it; the next one starts another. */
  release(): void {
    if (this.#live?.busyConnections === 0) this.#live = undefined;
  }

  stats(): EngineStats {
    return {
      running: this.admission.runningCount,
      waiting: this.admission.waitingCount,
      idleConnections: this.#live?.pool.idleCount ?? 0,
      busyConnections: this.#live?.busyConnections ?? 0,
      stacks: this.#live?.stackCount ?? 0,
      retired: this.#retired,
      memoryBytes: this.memoryBytes,
    };
  }

  #start(): LiveInstance {
    const mayGrowTo = (bytes: number): boolean => this.#memory.allows(this, bytes);
    const live = new LiveInstance(this.#build, HEAP_BYTES_MAX, mayGrowTo);
    this.#goneRunnersBefore = this.admission.goneRunnerCount;
    // Others make room for what it begins with; where they are busy they do so when they can.
    mayGrowTo(live.sqlite.memoryBytes);
    return live;
  }
}

/** One engine for each build that has been used. */
const isolateEngines = new Map<SqliteBuild["name"], Engine>();
const shared = { admission: newAdmission(), memory: new MemoryBudget(MEMORY_BYTES_MAX) };

/**
 * The isolate's engine of one build. The first call tests that the sandbox holds, and no query runs
 * where it does not. Requests that come at the same time each test for themselves: none may wait for
 * another's promise.
 *
 * @throws {ReplicaError} `ENGINE_FAILED` with what did not hold.
 */
export async function getEngine(build: SqliteBuild): Promise<Engine> {
  const known = isolateEngines.get(build.name);
  if (known !== undefined) return known;
  await selfTest(build);
  const engine = isolateEngines.get(build.name) ?? new Engine(build, shared);
  isolateEngines.set(build.name, engine);
  return engine;
}
