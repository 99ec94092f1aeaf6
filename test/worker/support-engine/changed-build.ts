import type { SqliteBuild, SqliteInstance } from "../../../worker/sqlite/build.ts";
import { build } from "./build-under-test.ts";

/** The real build under test, but for what `change` puts in the place of an instance's own functions. */
export function changedBuild(
  change: (instance: SqliteInstance) => Partial<SqliteInstance>,
): SqliteBuild {
  return {
    ...build,
    instantiate(mayGrowTo) {
      const instance = build.instantiate(mayGrowTo);
      const changes = change(instance);
      return new Proxy(instance, {
        get(target, key) {
          const value: unknown = Reflect.get(changes, key) ?? Reflect.get(target, key, target);
          return typeof value === "function" ? value.bind(target) : value;
        },
      });
    },
  };
}
