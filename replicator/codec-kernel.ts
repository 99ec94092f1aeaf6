import { readFileSync } from "node:fs";
import { installKernel } from "../shared/ltx/kernel.ts";
import { codeOf } from "./storage/durable-file.ts";

/**
 * Puts the codec's WebAssembly in place. Where the build has not been run there is none: everything
 * works the same then, more slowly.
 */
export function installCodecKernel(): void {
  const path = new URL("../shared/ltx/kernel.wasm", import.meta.url);
  try {
    installKernel(new WebAssembly.Module(readFileSync(path)));
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}
