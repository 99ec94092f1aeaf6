/** Which build of SQLite the tests of the engine run on: each has a project of its own in vitest. */
import { env } from "cloudflare:workers";
import type { SqliteBuild } from "../../../worker/sqlite/build.ts";
import { type Engine, getEngine } from "../../../worker/sqlite/engine.ts";
import { officialBuild } from "../../../worker/sqlite/official/official-instance.ts";
import { sqljsBuild } from "../../../worker/sqlite/sqljs/sqljs-instance.ts";

export const build: SqliteBuild = env.ENGINE === "official" ? officialBuild : sqljsBuild;

/** A value for each build, where they have to differ. */
export function forBuild<T>(values: Readonly<Record<SqliteBuild["name"], T>>): T {
  return values[build.name];
}

/** The isolate's engine of that build. */
export function engineUnderTest(): Promise<Engine> {
  return getEngine(build);
}
