/**
 * Compiles the replicator to JavaScript, into `dist/library`: Node runs no TypeScript below `node_modules`, where
 * a package that was installed lies. Done by `npm pack`; nothing in this repository uses the result.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const library = join(root, "dist/library");

rmSync(library, { recursive: true, force: true });
const compiler = join(root, "node_modules/.bin/tsc");
const { status } = spawnSync(compiler, ["--project", "tsconfig.library.json"], {
  cwd: root,
  stdio: "inherit",
});
if (status !== 0) process.exit(status ?? 1);
for (const name of ["package.json", "shared/ltx/kernel.wasm"]) {
  copyFileSync(join(root, name), join(library, name));
}
