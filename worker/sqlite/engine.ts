import { ReplicaError } from "../../shared/errors.ts";

/** The SQLite of this isolate. */
export interface Engine {
  readonly name: "sqljs";
}

/** The isolate's engine, self-tested; a new one after the last had to be retired. */
export async function getEngine(): Promise<Engine> {
  throw new ReplicaError("ENGINE_FAILED", "the engine is being built");
}
