/**
 * `npm run dev -- --replica URL`: the Worker in a local workerd on a copy of a replica that somebody
 * already has, Litestream's or Eddy's, so that people can try Eddy on their own data before they
 * deploy. The copy goes in through the S3 endpoint, under S3's keys whatever layout it had.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, CommanderError } from "commander";
import { isReplicaError } from "../shared/errors.ts";
import { EXIT_DONE, EXIT_USAGE, exitCodeOf } from "../replicator/exit-code.ts";
import { openReplica } from "../replicator/storage/open-store.ts";
import { progressLine } from "../replicator/terminal/progress.ts";
import { copyReplica, type CopyProgress } from "./copy-replica.ts";
import { startLocalWorker } from "./local-worker.ts";
import { parsePort, say } from "./terminal.ts";

interface DevOptions {
  readonly replica: string;
  readonly port: string;
  readonly name: string;
}

const interrupted = new AbortController();
// SIGHUP: the terminal was closed.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => interrupted.abort(signal));
}

const command = new Command("npm run dev --")
  .description("Serve a copy of a replica from a local Worker.")
  .requiredOption("--replica <url>", "file:///folder or s3://bucket/path?endpoint=…&region=…")
  .option("--port <number>", "port of the local Worker", process.env["PORT"] ?? "8787")
  .option("--name <name>", "name of the database in the API", "app")
  .addHelpText(
    "after",
    `
Examples:
  npm run dev -- --replica file:///var/backups/app
  AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… \\
    npm run dev -- --replica 's3://bucket/app.db?endpoint=https://ACCOUNT.r2.cloudflarestorage.com&region=auto'`,
  )
  .exitOverride();

try {
  command.parse();
  await dev(command.opts<DevOptions>());
} catch (error) {
  process.exitCode = exitCode(error);
}

function exitCode(error: unknown): number {
  // Commander has printed its own message: 0 for --help, 2 for a usage error, as everywhere.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_DONE : EXIT_USAGE;
  if (interrupted.signal.aborted) return 130;
  say(`eddy: ${isReplicaError(error) ? error.message : String((error as Error).stack)}`);
  return exitCodeOf(error);
}

async function dev({ replica: url, port, name }: DevOptions): Promise<void> {
  const { signal } = interrupted;
  const source = openReplica(url, { env: process.env, writing: false });
  const token = process.env["EDDY_TOKEN"] ?? randomBytes(12).toString("hex");
  const folder = mkdtempSync(join(tmpdir(), "eddy-dev-"));
  try {
    const prefix = `dev/${name}`;
    const worker = await startLocalWorker({
      folder,
      port: parsePort(port),
      token,
      databases: { [name]: prefix },
      signal,
    });
    try {
      const target = openReplica(worker.storeUrl(prefix), { env: worker.storeEnv, writing: true });
      const progress = progressLine("copying", process.stderr);
      const onProgress = (state: CopyProgress) => progress.update(state);
      const copied = await copyReplica(source, target, { signal, onProgress });
      progress.end();
      say(`copied ${copied.files} LTX files, ${(copied.bytes / 1e6).toFixed(1)} MB`);
      printWhatToTry(worker.url, name, token);
      await Promise.race([
        worker.exited,
        new Promise<void>((resolve) => {
          if (signal.aborted) resolve();
          signal.addEventListener("abort", () => resolve());
        }),
      ]);
    } finally {
      await worker.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function printWhatToTry(url: string, name: string, token: string): void {
  const curl = `curl -sG -H 'Authorization: Bearer ${token}' ${url}/v1/dbs/${name}`;
  say(`
  The page     ${url}/#token=${token}
  The tables   ${curl}/query --data-urlencode 'sql=SELECT name, sql FROM sqlite_schema'
  About it     ${curl}

This is a copy: it does not follow what is written to the replica from now on. Ctrl-C removes it.`);
}
