/**
 * Finds in the installed sql.js what the engine must know about it, and writes
 * `worker/sqlite/sqljs/calibration.ts`: the minified names of imports and exports, and the offsets of
 * the few fields of SQLite's structs that sql.js has no function for. Every fact is proven on a
 * running instance before it is written; what cannot be found stops the script.
 *
 * node tools/calibrate-sqljs.ts          says whether the file is up to date
 * node tools/calibrate-sqljs.ts --write  writes it anew, after sql.js was upgraded
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { findNames } from "./sqljs/find-names.ts";
import { findOffsets } from "./sqljs/find-offsets.ts";
import { renderCalibration } from "./sqljs/render-calibration.ts";

const TARGET = fileURLToPath(new URL("../worker/sqlite/sqljs/calibration.ts", import.meta.url));

/**
 * The text that `calibration.ts` must have for the sql.js that is installed.
 *
 * @param wasmName Which of its wasm files; the engine uses the first.
 */
export async function calibrate(wasmName = "sql-wasm.wasm"): Promise<string> {
  const dist = new URL(".", import.meta.resolve("sql.js/dist/sql-wasm.wasm"));
  const wasm = readFileSync(new URL(wasmName, dist));
  const glue = readFileSync(new URL("sql-wasm-browser.js", dist), "utf8");
  const manifest: unknown = JSON.parse(readFileSync(new URL("../package.json", dist), "utf8"));
  const { version } = manifest as { readonly version: string };
  const module = new WebAssembly.Module(wasm);
  const names = findNames(module, glue);
  return renderCalibration({ version, wasm, names, offsets: await findOffsets(module, names) });
}

if (import.meta.main) {
  const found = await calibrate();
  if (process.argv.includes("--write")) writeFileSync(TARGET, found);
  const same = readFileSync(TARGET, "utf8") === found;
  console.log(same ? "calibration.ts is up to date" : "calibration.ts differs: run with --write");
  process.exitCode = same ? 0 : 1;
}
