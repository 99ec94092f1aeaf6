import { Admission } from "./admission.ts";
import type { SqliteBuild } from "./build.ts";
import { LiveInstance } from "./live-instance.ts";
import { selfTest } from "./self-test.ts";

/** Queries that run at a time, and those in flight with the ones that wait for their turn. */
const RUNNING_MAX = 8;
const IN_FLIGHT_MAX = 64;

/** What SQLite may allocate for all queries of the isolate together, in bytes. */
const HEAP_BYTES_MAX = 24 * 1024 * 1024;

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

/** The SQLite of this isolate: one instance at a time, and who may run on it. */
export class Engine {
  readonly name: SqliteBuild["name"];
  readonly admission: Admission;
  readonly #build: SqliteBuild;
  #live: LiveInstance;
  #retired = 0;
  #goneRunnersBefore = 0;

  constructor(build: SqliteBuild, now: () => number = Date.now) {
    this.admission = new Admission({ runningMax: RUNNING_MAX, inFlightMax: IN_FLIGHT_MAX }, now);
    this.#build = build;
    this.name = build.name;
    this.#live = new LiveInstance(build, HEAP_BYTES_MAX);
  }

  /** The instance that new queries run on: a new one after the last was retired, or has leaked. */
  get live(): LiveInstance {
    const gone = this.admission.goneRunnerCount;
    if (this.#live.isRetired || gone - this.#goneRunnersBefore >= GONE_RUNNERS_MAX) {
      this.#goneRunnersBefore = gone;
      this.#live = new LiveInstance(this.#build, HEAP_BYTES_MAX);
      this.#retired++;
    }
    return this.#live;
  }

  stats(): EngineStats {
    return {
      running: this.admission.runningCount,
      waiting: this.admission.waitingCount,
      idleConnections: this.#live.pool.idleCount,
      busyConnections: this.#live.busyConnections,
      stacks: this.#live.stackCount,
      retired: this.#retired,
      memoryBytes: this.#live.sqlite.memoryBytes,
    };
  }
}

/** One engine for each build that has been used. */
const isolateEngines = new Map<SqliteBuild["name"], Engine>();

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
  const engine = isolateEngines.get(build.name) ?? new Engine(build);
  isolateEngines.set(build.name, engine);
  return engine;
}
