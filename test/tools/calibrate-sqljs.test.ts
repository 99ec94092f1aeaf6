import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { calibrate } from "../../tools/calibrate-sqljs.ts";

const root = new URL("../../", import.meta.url);

describe("the calibration of sql.js", () => {
  it("is that of the build that is installed", async () => {
    const written = readFileSync(new URL("worker/sqlite/sqljs/calibration.ts", root), "utf8");
    const message =
      "another sql.js is installed: node tools/calibrate-sqljs.ts --write, then every test";
    expect(await calibrate(), message).toBe(written);
  });

  it("is not made of a build that the engine does not know", async () => {
    await expect(calibrate("sql-wasm-debug.wasm")).rejects.toThrow(/this build of sql\.js/);
  });
});
