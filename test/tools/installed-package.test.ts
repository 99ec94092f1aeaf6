/** The package as `npm pack` makes it, unpacked where npm would install it. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createDatabase, rowsOf } from "../support/cli-fixture.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "eddy-package-"));
const at = (name: string) => join(folder, name);

beforeAll(() => {
  execFileSync("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: root });
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"))!;
  mkdirSync(at("node_modules/eddy"), { recursive: true });
  const to = ["-C", at("node_modules/eddy"), "--strip-components=1"];
  execFileSync("tar", ["-xzf", at(tarball), ...to]);
  // What npm would install beside it.
  for (const name of readdirSync(join(root, "node_modules"))) {
    if (name.startsWith(".")) continue;
    symlinkSync(join(root, "node_modules", name), at(`node_modules/${name}`));
  }
  createDatabase(at("app.db"));
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

it("replicates for an application that imports it", () => {
  writeFileSync(
    at("app.mjs"),
    `import { replicate } from "eddy";
     const replica = await replicate({ path: "app.db", url: "file://${at("replica")}" });
     console.log((await replica.waitForUpload()).txid);
     await replica.close();`,
  );
  const said = execFileSync(process.execPath, ["app.mjs"], { cwd: folder, encoding: "utf8" });
  expect(said).toBe("0000000000000001\n");
});

it("has the command line, which replicates and restores", () => {
  const cli = at("node_modules/eddy/replicator/eddy.mjs");
  const run = (...args: string[]) =>
    execFileSync(process.execPath, [cli, ...args], { cwd: folder, encoding: "utf8" });
  run("replicate", "app.db", `file://${at("second")}`, "--once", "--force-snapshot");
  run("restore", `file://${at("second")}`, "-o", at("restored.db"));
  expect(rowsOf(at("restored.db"))).toEqual(rowsOf(at("app.db")));
  expect(run("version")).toMatch(/^\d+\.\d+\.\d+\n$/);
});
