import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { realPath } from "../files/real-path.ts";
import { ProcessLock } from "../source/process-lock.ts";
import { codeOf } from "../storage/durable-file.ts";
import { stagingFolderOf } from "../sync/staging.ts";
import { printJson, printLine } from "../terminal/output.ts";
import type { Command } from "commander";
import type { ConfigFlags } from "../config/command-line.ts";
import { absolute } from "./control-options.ts";
import { addConfigOptions, configuredDatabase } from "./replica-argument.ts";

/** Options of `eddy reset` as the command line gives them. */
interface ResetFlags extends ConfigFlags {
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** Makes `eddy reset` known to the command line. */
export function addReset(program: Command): void {
  const command = program
    .command("reset")
    .description("remove the local LTX files of a database; the database and the replica stay")
    .argument("<database>", "the SQLite file")
    .option("--dry-run", "show what would be removed, and remove nothing")
    .option("--json", "print it as JSON");
  addConfigOptions(command)
    .addHelpText(
      "after",
      `
For when the staging directory is damaged. The next start of the replicator takes up the position that
it finds in the store, and ships the whole database as the next TXID: nothing that is committed is lost.
Refused while a replicator works on the database.`,
    )
    .action((database: string, flags: ResetFlags) => resetCommand(database, flags));
}

/**
 * `eddy reset DB`: removes the `ltx` folder of the staging directory, as Litestream's does.
 *
 * @throws {ReplicaError} `WRITER_CONFLICT` while a replicator works on it.
 */
async function resetCommand(database: string, flags: ResetFlags): Promise<void> {
  const { dryRun, json } = flags;
  const path = absolute(database);
  const staging = await stagingFolder(realPath(path), flags);
  const folder = join(staging, "ltx");
  const files = await filesBelow(folder);
  const isThere = files !== undefined;
  if (isThere && !dryRun) {
    const lock = ProcessLock.take(staging);
    try {
      await rm(folder, { recursive: true, force: true });
    } finally {
      lock.release();
    }
  }
  if (json) {
    const removed = isThere ? folder : null;
    return printJson({ db_path: path, dry_run: dryRun ?? false, removed, files: files ?? [] });
  }
  if (!isThere) return printLine(`${path} has no local LTX files, nothing to do`);
  if (dryRun) {
    printLine(`would remove ${folder}`);
    for (const file of files) printLine(`  ${file}`);
    return;
  }
  printLine(
    `removed ${folder} with ${files.length} files. The next start takes up the position in the store, and ships the whole database as the next TXID`,
  );
}

/** Where the configuration puts it, or beside the database: for one that no configuration knows, too. */
async function stagingFolder(path: string, flags: ConfigFlags): Promise<string> {
  return (await configuredDatabase(path, flags))?.stagingFolder ?? stagingFolderOf(path);
}

/** Undefined when there is no such folder. */
async function filesBelow(folder: string): Promise<readonly string[] | undefined> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .toSorted();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
