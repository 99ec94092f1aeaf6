/** A database and its staging directory as a crash of the machine's processes leaves them. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { CaptureFixture } from "./capture-fixture.ts";

/**
 * Copies what is on disk at this moment, to a folder of its own; the caller removes it. The live files
 * go on being used, and the database file is read by the replicator's own descriptor only.
 */
export function copyAsAfterCrash({ source, staging }: CaptureFixture): {
  readonly folder: string;
  readonly path: string;
} {
  const folder = mkdtempSync(join(tmpdir(), "eddy-crash-"));
  const path = join(folder, basename(source.path));
  const runs = source.pageRuns();
  const pages = Array.from({ length: source.pageCountOnDisk() }, (_, i) =>
    runs.read(i + 1).slice(),
  );
  writeFileSync(path, Buffer.concat(pages));
  writeFileSync(`${path}-wal`, readFileSync(source.walPath));
  const copy = join(folder, basename(staging.folder));
  mkdirSync(copy);
  cpSync(join(staging.folder, "ltx"), join(copy, "ltx"), { recursive: true });
  cpSync(join(staging.folder, "eddy-pages"), join(copy, "eddy-pages"));
  return { folder, path };
}
