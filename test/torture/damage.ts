import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Random } from "../../tools/demo/random.ts";

/** The staging directory of a database. */
export function stagingOf(databasePath: string): string {
  return join(dirname(databasePath), `.${basename(databasePath)}-litestream`);
}

/** Does something bad to a staging directory that nobody works on, and says what. */
export function damageStaging(folder: string, random: Random): string {
  const level = join(folder, "ltx", "0");
  if (!existsSync(level)) return "there is no staging directory yet";
  const names = readdirSync(level).sort();
  if (names.length === 0 || random.below(4) === 0) {
    // With all of it goes what shows that the lease is our own: the next start has to wait for its end.
    const isWhole = random.below(4) === 0;
    rmSync(isWhole ? folder : join(folder, "ltx"), { recursive: true });
    return isWhole ? "removed the staging directory" : "removed all staged files";
  }
  // What is remembered of every page decides what a restart ships.
  const sums = join(folder, "eddy-pages");
  if (existsSync(sums) && random.below(4) === 0) return spoil(sums, random);
  // The newest matter most: a restart goes on from them.
  const name = random.below(2) === 0 ? names.at(-1)! : random.pick(names);
  return spoil(join(level, name), random);
}

function spoil(path: string, random: Random): string {
  const name = basename(path);
  const { size } = statSync(path);
  switch (random.below(4)) {
    case 0:
      rmSync(path);
      return `removed ${name}`;
    case 1:
      truncateSync(path, random.below(size));
      return `truncated ${name}`;
    case 2:
      writeFileSync(`${path}.tmp`, "left over");
      return "left an unfinished file";
    default: {
      const bytes = readFileSync(path);
      const offset = random.below(size);
      bytes[offset] = (bytes[offset] ?? 0) ^ (1 << random.below(8));
      writeFileSync(path, bytes);
      return `flipped a bit of ${name} at ${offset}`;
    }
  }
}

/** Removes a folder in which somebody may be making files at this moment. */
export function removeAtOnce(folder: string): void {
  if (!existsSync(folder)) return;
  const gone = `${folder}.gone`;
  renameSync(folder, gone);
  rmSync(gone, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
}
