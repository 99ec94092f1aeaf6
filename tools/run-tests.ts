/**
 * Runs vitest with the arguments it was given, and wrangler's tooling kept off the network. Without
 * `--project` the projects that need nothing but what `npm ci` installed.
 */
import { spawnSync } from "node:child_process";
import { QUIET_WRANGLER } from "./quiet-wrangler.ts";

const given = process.argv.slice(2);
const projects = given.some((argument) => argument.startsWith("--project"))
  ? []
  : ["--project=node", "--project=kernel", "--project=workerd", "--project=official"];
const { status } = spawnSync("vitest", ["run", ...projects, ...given], {
  stdio: "inherit",
  env: { ...process.env, ...QUIET_WRANGLER },
});
process.exit(status ?? 1);
