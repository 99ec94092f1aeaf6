/**
 * Compiles every WebAssembly text in the repository to the module beside it. Workers forbid
 * compiling wasm at run time, so this happens before each start, test and deploy. A module that is
 * newer than its text is left alone.
 */
import { existsSync, globSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import loadWabt from "wabt";

const root = fileURLToPath(new URL("..", import.meta.url));

function isStale(text: string, module: string): boolean {
  return !existsSync(module) || statSync(module).mtimeMs < statSync(text).mtimeMs;
}

const stale = globSync("{shared,worker,replicator}/**/*.wat", { cwd: root })
  .map((name) => ({ text: `${root}/${name}`, module: `${root}/${name.replace(/wat$/, "wasm")}` }))
  .filter(({ text, module }) => isStale(text, module));

if (stale.length > 0) {
  const wabt = await loadWabt();
  for (const { text, module } of stale) {
    const parsed = wabt.parseWat(text, readFileSync(text, "utf8"), { bulk_memory: true });
    parsed.validate();
    // A second build beside this one (npm test while npm start runs) must never read half a module.
    const temporary = `${module}.${process.pid}.tmp`;
    writeFileSync(temporary, parsed.toBinary({}).buffer);
    renameSync(temporary, module);
    parsed.destroy();
  }
}
