/**
 * How long the restore of a large database takes, and how much memory: Eddy and the real Litestream, one after the
 * other, of the same replica, which Eddy has written to a folder. `RESTORE_MB` says how large the database is.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, mkdtempSync, openSync, readSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { peerBinary } from "../support/litestream.ts";
import { createLargeDatabase } from "./large-database.ts";
import { usageOf } from "./process-usage.ts";
import { percentile, printTable } from "./statistics.ts";

const MEGABYTES = Number(process.env["RESTORE_MB"] ?? 1024);
const RUNS = 3;
/** The peak is read so often: it stays what it was until the process has ended. In milliseconds. */
const SAMPLE_MS = 20;

interface Contender {
  readonly name: string;
  command(replica: string, output: string): readonly [string, readonly string[]];
}

const CONTENDERS: readonly Contender[] = [
  {
    name: "Eddy",
    command: (replica, output) => [
      process.execPath,
      ["replicator/eddy.mjs", "restore", `file://${replica}`, "-o", output],
    ],
  },
  {
    name: "Litestream 0.5.17",
    command: (replica, output) => [
      peerBinary("litestream"),
      ["restore", "-o", output, `file://${replica}`],
    ],
  },
];

interface Run {
  readonly seconds: number;
  readonly peakBytes: number;
  readonly cpuSeconds: number;
}

/** Prints the table of the restore of a large database. */
export async function benchRestore1Gb(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "eddy-bench-"));
  try {
    const original = join(folder, "original.db");
    const replica = join(folder, "replica");
    createLargeDatabase(original, MEGABYTES * 1e6);
    const shipped = spawnSync(
      process.execPath,
      ["replicator/eddy.mjs", "replicate", "--once", original, `file://${replica}`],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    if (shipped.status !== 0) throw new Error(`the replica was not written: ${shipped.status}`);
    const runs = new Map(CONTENDERS.map(({ name }) => [name, [] as Run[]]));
    // In turn, so that whatever else the machine does befalls both.
    for (let round = 0; round < RUNS; round++) {
      for (const contender of CONTENDERS) {
        runs.get(contender.name)?.push(await measure(contender, replica, original));
      }
    }
    print(statSync(original).size, runs);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function print(sizeBytes: number, runs: ReadonlyMap<string, readonly Run[]>): void {
  const median = (name: string, of: (run: Run) => number) =>
    percentile((runs.get(name) ?? []).map(of), 0.5);
  const peer = CONTENDERS.at(-1)?.name ?? "";
  const rows = [["", `median of ${RUNS}`, "MB/s", "ratio", "peak RSS", "CPU seconds"]];
  for (const name of runs.keys()) {
    const seconds = median(name, (run) => run.seconds);
    rows.push([
      name,
      `${seconds.toFixed(1)} s`,
      (sizeBytes / 1e6 / seconds).toFixed(0),
      `${(median(peer, (run) => run.seconds) / seconds).toFixed(2)}x`,
      `${(Math.max(...(runs.get(name) ?? []).map((run) => run.peakBytes)) / 1e6).toFixed(0)} MB`,
      median(name, (run) => run.cpuSeconds).toFixed(1),
    ]);
  }
  printTable(`restore of ${(sizeBytes / 1e6).toFixed(0)} MB of database from a folder`, rows);
}

async function measure(contender: Contender, replica: string, original: string): Promise<Run> {
  const output = join(replica, "..", "restored.db");
  const [program, args] = contender.command(replica, output);
  const startedMs = performance.now();
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "inherit"] });
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const finished = ended.then((status) => ({ status, atMs: performance.now() }));
  let usage = { peakBytes: 0, cpuSeconds: 0 };
  let end: Awaited<typeof finished> | undefined;
  // Bounded by the restore.
  while (end === undefined) {
    usage = sample(child.pid ?? 0) ?? usage;
    end = await Promise.race([finished, delay(SAMPLE_MS, undefined)]);
  }
  const { status, atMs } = end;
  if (status !== 0) throw new Error(`${contender.name} ended with ${status}`);
  if (digestOf(output) !== digestOf(original)) throw new Error("the restored database differs");
  rmSync(output);
  return { ...usage, seconds: (atMs - startedMs) / 1000 };
}

/** Undefined when it has ended meanwhile. */
function sample(pid: number): { peakBytes: number; cpuSeconds: number } | undefined {
  try {
    const usage = usageOf(pid);
    return Number.isNaN(usage.peakBytes) ? undefined : usage;
  } catch {
    return undefined;
  }
}

function digestOf(path: string): string {
  const hash = createHash("sha256");
  const piece = new Uint8Array(1024 * 1024);
  const file = openSync(path, "r");
  for (let length = readSync(file, piece); length > 0; length = readSync(file, piece)) {
    hash.update(piece.subarray(0, length));
  }
  closeSync(file);
  return hash.digest("hex");
}
