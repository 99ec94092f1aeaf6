/**
 * How long the first image of a database takes to be in the bucket, and how much memory: Eddy and the real
 * Litestream, one after the other, against the same SeaweedFS. `FIRST_IMAGE_MB` (a list: `1024,4096`) says how
 * large the databases are.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { S3Store } from "../../shared/storage/s3-store.ts";
import { peerBinary } from "../support/litestream.ts";
import {
  seaweedReplica,
  seaweedUrl,
  startSeaweedFs,
  type SeaweedFs,
} from "../support/seaweedfs.ts";
import { createLargeDatabase } from "./large-database.ts";
import { usageOf } from "./process-usage.ts";
import { printTable } from "./statistics.ts";

const MEGABYTES = (process.env["FIRST_IMAGE_MB"] ?? "1024").split(",").map(Number);
const POLL_MS = 20;
const TIMEOUT_MS = 600_000;

interface Contender {
  readonly name: string;
  start(path: string, prefix: string, server: SeaweedFs): ChildProcess;
}

const CONTENDERS: readonly Contender[] = [
  {
    name: "Eddy",
    start(path, prefix, server) {
      const url = seaweedUrl(server, prefix);
      return spawn(process.execPath, ["replicator/eddy.mjs", "replicate", path, url], {
        stdio: ["ignore", "ignore", "inherit"],
        env: { ...process.env, ...server.env },
      });
    },
  },
  {
    name: "Litestream 0.5.17",
    start(path, prefix, server) {
      const config = join(dirname(path), "litestream.json");
      const replica = seaweedReplica(server, prefix);
      // JSON is YAML.
      writeFileSync(config, JSON.stringify({ dbs: [{ path, replica }] }));
      return spawn(peerBinary("litestream"), ["replicate", "-config", config], {
        stdio: "ignore",
        env: { ...process.env, ...server.env, AWS_CA_BUNDLE: undefined },
      });
    },
  },
];

/** Prints the tables of the first image. */
export async function benchFirstImage(): Promise<void> {
  // As from the second start on: the first after an installation holds Node's compiler, 30 MB.
  spawnSync(process.execPath, ["replicator/eddy.mjs", "version"]);
  const folder = mkdtempSync(join(tmpdir(), "eddy-bench-"));
  try {
    const { seaweed, stop } = await startSeaweedFs();
    try {
      for (const megabytes of MEGABYTES) await benchSize(megabytes, seaweed, folder);
    } finally {
      await stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function benchSize(megabytes: number, server: SeaweedFs, folder: string): Promise<void> {
  const original = join(folder, `original-${megabytes}.db`);
  if (process.env.DEVDB) copyFileSync(process.env.DEVDB, original);
  else createLargeDatabase(original, megabytes * 1e6);
  const rows = [["", "seconds", "MB/s", "peak RSS", "CPU seconds", "stored"]];
  for (const contender of CONTENDERS) {
    const name = `${contender.name.split(" ")[0]?.toLowerCase()}-${megabytes}`;
    const path = join(folder, name, "image.db");
    mkdirSync(dirname(path));
    copyFileSync(original, path);
    // Read once, so that both find the file in memory, or neither.
    readFileInPieces(path);
    rows.push([contender.name, ...(await measure(contender, path, server))]);
    rmSync(dirname(path), { recursive: true, force: true });
  }
  rmSync(original);
  printTable(`first image of ${megabytes} MB of database, to SeaweedFS`, rows);
}

async function measure(contender: Contender, path: string, server: SeaweedFs): Promise<string[]> {
  const prefix = basename(dirname(path));
  const store = new S3Store({
    endpoint: server.endpoint,
    bucket: server.bucket,
    region: "us-east-1",
    accessKeyId: server.env["AWS_ACCESS_KEY_ID"] ?? "",
    secretAccessKey: server.env["AWS_SECRET_ACCESS_KEY"] ?? "",
    fetch: (address, init) => fetch(address, init),
    now: Date.now,
    random: Math.random,
  });
  const startMs = performance.now();
  const replicator = contender.start(path, prefix, server);
  const ended = once(replicator, "exit");
  const stored = await imageIn(store, prefix, replicator);
  const seconds = (performance.now() - startMs) / 1000;
  const { peakBytes, cpuSeconds } = usageOf(replicator.pid ?? 0);
  replicator.kill("SIGKILL");
  await ended;
  return [
    seconds.toFixed(1),
    (statSync(path).size / 1e6 / seconds).toFixed(0),
    `${(peakBytes / 1e6).toFixed(0)} MB`,
    cpuSeconds.toFixed(1),
    `${(stored / 1e6).toFixed(0)} MB`,
  ];
}

/** Waits until the first file of level 0 is in the store; returns its size in bytes. */
async function imageIn(store: S3Store, prefix: string, replicator: ChildProcess): Promise<number> {
  const deadlineMs = performance.now() + TIMEOUT_MS;
  for (;;) {
    const { objects } = await store.list({ prefix: `${prefix}/0000/` });
    const image = objects.find(({ key }) => key.endsWith(".ltx"));
    if (image) return image.sizeBytes;
    if (replicator.exitCode !== null || performance.now() > deadlineMs) {
      throw new Error(`no image came; the replicator ended with ${replicator.exitCode}`);
    }
    await delay(POLL_MS);
  }
}

function readFileInPieces(path: string): void {
  const file = openSync(path, "r");
  const piece = new Uint8Array(1024 * 1024);
  while (readSync(file, piece) > 0);
  closeSync(file);
}
