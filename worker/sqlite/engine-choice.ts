import { isReplicaError, ReplicaError } from "../../shared/errors.ts";
import { BoundedMap } from "../replicas/bounded-map.ts";
import type { SqliteBuild } from "./build.ts";
import { type Engine, getEngine } from "./engine.ts";
import { officialBuild } from "./official/official-instance.ts";
import type { StatementRequest } from "./query.ts";
import { sqljsBuild } from "./sqljs/sqljs-instance.ts";

/** Values of the variable `ENGINE`: one build for all, or for each statement the one that can run it. */
export const ENGINE_NAMES = ["auto", "sqljs", "official"] as const;

export type EngineName = (typeof ENGINE_NAMES)[number];

/** What signing a request for an S3 store takes, a few turns of the event loop, is over after that. */
const START_LATER_MS = 3;
/** Databases of which it is remembered which build they were last read with. */
const DATABASES_MAX = 1_000;

const BUILDS: Readonly<Record<EngineName, readonly SqliteBuild[]>> = {
  auto: [sqljsBuild, officialBuild],
  sqljs: [sqljsBuild],
  official: [officialBuild],
};

/** The builds that `name` stands for, in the order in which a database that nobody knows tries them. */
export function buildsOf(name: EngineName): readonly SqliteBuild[] {
  return BUILDS[name];
}

export interface EngineChoiceOptions {
  readonly builds: readonly SqliteBuild[];
  readonly engineOf?: (build: SqliteBuild) => Promise<Engine>;
}

/**
 * Chooses for each statement the build that runs it. No build has every module, so a statement that
 * fails for want of one is run on another build that has it; the database is remembered, and its next
 * statement begins there. A build that nobody needs is never instantiated.
 */
export class EngineChoice {
  readonly #builds: readonly SqliteBuild[];
  readonly #engineOf: (build: SqliteBuild) => Promise<Engine>;
  #isReady = false;
  readonly #remembered = new BoundedMap<string, SqliteBuild>({ max: DATABASES_MAX });

  constructor({ builds, engineOf = getEngine }: EngineChoiceOptions) {
    this.#builds = builds;
    this.#engineOf = engineOf;
  }

  /**
   * Runs or describes a statement.
   *
   * @param database Names it at whatever transaction; only what is remembered hangs on it.
   * @throws {ReplicaError} What `run` throws; `UNSUPPORTED_MODULE` where no build can do it alone.
   */
  async on<Request extends StatementRequest, Result>(
    database: string,
    request: Request,
    run: (engine: Engine, request: Request) => Promise<Result>,
  ): Promise<Result> {
    const first = this.#remembered.get(database) ?? this.#first;
    try {
      return await run(await this.#engineOf(first), request);
    } catch (error) {
      const other = this.#otherFor(error, first);
      if (other === undefined) throw error;
      const result = await this.#runOnOther(run(await this.#engineOf(other), request), error);
      this.#remembered.set(database, other);
      return result;
    }
  }

  /**
   * Makes the engine ready on which a statement would begin; where it cannot be, the statement says so. It
   * computes for a while, so whatever the caller has begun to ask of the bucket gets away first.
   */
  async prepare(database: string): Promise<void> {
    if (!this.#isReady) await new Promise((resolve) => setTimeout(resolve, START_LATER_MS));
    this.#isReady = true;
    const engine = this.#engineOf(this.#remembered.get(database) ?? this.#first);
    await engine.then((ready) => ready.warm()).catch(() => undefined);
  }

  get #first(): SqliteBuild {
    const [first] = this.#builds;
    if (first === undefined) throw new Error("there is no build of SQLite to choose from");
    return first;
  }

  /** Another build that has what this one did not have; undefined where there is none. */
  #otherFor(error: unknown, failed: SqliteBuild): SqliteBuild | undefined {
    if (!isReplicaError(error, "UNSUPPORTED_MODULE")) return undefined;
    const { module } = error.details;
    // Without a module it is the encoding of the texts that was not known.
    return this.#builds.find(
      (build) =>
        build !== failed && (module === undefined ? build.readsUtf16 : build.modules.has(module)),
    );
  }

  /** Where the other build fails for want of something too, the statement needs both of them. */
  async #runOnOther<Result>(running: Promise<Result>, first: unknown): Promise<Result> {
    try {
      return await running;
    } catch (error) {
      if (!isReplicaError(error, "UNSUPPORTED_MODULE")) throw error;
      if (!isReplicaError(first)) throw error;
      const sentence = `no engine here can run this statement alone: ${first.message}, and in the other engine ${error.message}`;
      throw new ReplicaError("UNSUPPORTED_MODULE", sentence, { details: first.details });
    }
  }
}

const choices = new Map<EngineName, EngineChoice>();

/** The isolate's choice under `ENGINE`. */
export function engineChoice(name: EngineName): EngineChoice {
  const choice = choices.get(name) ?? new EngineChoice({ builds: buildsOf(name) });
  choices.set(name, choice);
  return choice;
}
