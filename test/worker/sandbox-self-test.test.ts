import { describe, expect, it } from "vitest";
import type { SqliteInstance } from "../../worker/sqlite/build.ts";
import { selfTest } from "../../worker/sqlite/self-test.ts";
import { build } from "./support-engine/build-under-test.ts";
import { changedBuild } from "./support-engine/changed-build.ts";

describe("selfTest", () => {
  it("passes on the build that is installed", async () => {
    await expect(selfTest(build)).resolves.toBeUndefined();
  });

  it.each<[string, (instance: SqliteInstance) => Partial<SqliteInstance>, string]>([
    ["no authorizer or progress handler", () => ({ setHost: () => {} }), "never ends"],
    ["no step budget", () => ({ setStepsMax: () => {} }), "never ends"],
    ["no limits", () => ({ setLimits: () => {} }), "a deep expression"],
    [
      "an authorizer that allows everything",
      (instance) => ({
        setHost: (db, host) => {
          instance.setHost(db, { rest: () => host.rest(), authorize: () => 0 });
        },
      }),
      "ATTACH",
    ],
    [
      "integers that lose bits",
      (instance) => ({
        bind: (statement, index, value) =>
          instance.bind(statement, index, typeof value === "bigint" ? Number(value) : value),
      }),
      "integers of 64 bits",
    ],
    ["no declared types", () => ({ columnDecltype: () => null }), "declared types"],
  ])("fails with %s", async (_name, change, message) => {
    await expect(selfTest(changedBuild(change))).rejects.toMatchObject({
      code: "ENGINE_FAILED",
      message: expect.stringContaining(message),
    });
  });
});
