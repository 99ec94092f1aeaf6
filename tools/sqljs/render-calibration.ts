import { createHash } from "node:crypto";
import type { SqljsNames } from "./find-names.ts";
import type { SqljsOffsets } from "./find-offsets.ts";

/** What was found, and in what. */
export interface Calibration {
  readonly version: string;
  readonly wasm: Uint8Array;
  readonly names: SqljsNames;
  readonly offsets: SqljsOffsets;
}

function renderObject(value: Readonly<Record<string, unknown>>, indent: string): string {
  const lines = Object.entries(value).map(([key, entry]) => {
    const text =
      typeof entry === "object" && entry !== null
        ? renderObject({ ...entry }, `${indent}  `)
        : JSON.stringify(entry);
    return `${indent}  ${key}: ${text},\n`;
  });
  return `{\n${lines.join("")}${indent}}`;
}

/** The text of `worker/sqlite/sqljs/calibration.ts`, formatted as the formatter leaves it. */
export function renderCalibration({ version, wasm, names, offsets }: Calibration): string {
  const sha256 = createHash("sha256").update(wasm).digest("hex");
  const { importModule, imports, exports } = names;
  return `/**
 * What the engine must know about the wasm of sql.js ${version}, and of no other build: found and written by
 * \`tools/calibrate-sqljs.ts\`, never by hand. A test fails when another build is installed.
 */
export const CALIBRATION = ${renderObject({ version, sha256, importModule, imports, exports, offsets }, "")} as const;
`;
}
