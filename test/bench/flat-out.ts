/**
 * What an application that writes without a pause feels of its replicator: how much it gets done, how long it
 * is held up, and how large its log grows. Eddy and the real Litestream, one after the other, against one
 * SeaweedFS; and the application by itself.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { openReplica } from "../../replicator/storage/open-store.ts";
import { listLtxFiles } from "../../shared/replica/list-ltx-files.ts";
import { peerBinary } from "../support/litestream.ts";
import { seaweedUrl, startSeaweedFs, type SeaweedFs } from "../support/seaweedfs.ts";
import { milliseconds, printTable } from "./statistics.ts";

/** `EDDY_BENCH_SECONDS` makes it shorter for a try. */
const SECONDS = Number(process.env["EDDY_BENCH_SECONDS"] ?? 30);
const LOOK_MS = 20;

/** What the application prints at its end. */
export interface FlatOutResult {
  readonly transactions: number;
  readonly elapsedSeconds: number;
  /** The longest transaction, begin and commit included. */
  readonly longestMs: number;
}

interface Contender {
  readonly name: string;
  /** Undefined: nobody replicates. */
  readonly start?: (path: string, url: string, env: NodeJS.ProcessEnv) => ChildProcess;
}

const CONTENDERS: readonly Contender[] = [
  { name: "nobody" },
  {
    name: "Eddy",
    start: (path, url, env) =>
      spawn(process.execPath, ["replicator/eddy.mjs", "replicate", path, url], {
        stdio: "ignore",
        env,
      }),
  },
  {
    name: "Litestream 0.5.17",
    start(path, url, env) {
      const config = `${path}.json`;
      // JSON is YAML.
      writeFileSync(config, JSON.stringify({ dbs: [{ path, replica: { url } }] }));
      return spawn(peerBinary("litestream"), ["replicate", "-config", config], {
        stdio: "ignore",
        env,
      });
    },
  },
];

/** Prints the table of the application flat out. */
export async function benchFlatOut(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "eddy-bench-"));
  const { seaweed, stop } = await startSeaweedFs();
  try {
    const rows = [["replicated by", "transactions/s", "longest stall", "largest WAL"]];
    for (const contender of CONTENDERS) rows.push(await measure(contender, folder, seaweed));
    printTable(`an application flat out, 6 rows a transaction, ${SECONDS} s`, rows);
  } finally {
    await stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(
  { name, start }: Contender,
  folder: string,
  seaweed: SeaweedFs,
): Promise<string[]> {
  const id = name.replaceAll(/\W/g, "-");
  const path = join(folder, `${id}.db`);
  const database = new DatabaseSync(path);
  database.exec(
    `PRAGMA journal_mode = WAL; CREATE TABLE events (id INTEGER PRIMARY KEY, kind INTEGER, at REAL, body TEXT);
     CREATE INDEX events_kind ON events (kind)`,
  );
  database.close();
  const url = seaweedUrl(seaweed, `flat-out/${id}`);
  const env = { ...process.env, AWS_CA_BUNDLE: undefined, ...seaweed.env };
  const replicator = start?.(path, url, env);
  if (replicator) await firstImage(replicator, name, url, seaweed);
  let largestBytes = 0;
  const look = setInterval(() => {
    const size = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    largestBytes = Math.max(largestBytes, size);
  }, LOOK_MS);
  const result = await writeFlatOut(path);
  clearInterval(look);
  if (replicator) await end(replicator);
  return [
    name,
    (result.transactions / result.elapsedSeconds).toFixed(0),
    milliseconds(result.longestMs),
    `${(largestBytes / 1e6).toFixed(0)} MB`,
  ];
}

/** Replication has begun when its first file is in the bucket. */
async function firstImage(
  replicator: ChildProcess,
  name: string,
  url: string,
  { env }: SeaweedFs,
): Promise<void> {
  const replica = openReplica(url, { env, writing: false });
  for (;;) {
    if ((await Array.fromAsync(listLtxFiles(replica, { level: 0 }))).length > 0) return;
    if (replicator.exitCode !== null) throw new Error(`${name} ended with ${replicator.exitCode}`);
    await delay(LOOK_MS);
  }
}

async function writeFlatOut(path: string): Promise<FlatOutResult> {
  const writer = spawn(process.execPath, ["test/bench/flat-out-writer.ts", path, String(SECONDS)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let printed = "";
  writer.stdout.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  await once(writer, "close");
  return JSON.parse(printed) as FlatOutResult;
}

async function end(replicator: ChildProcess): Promise<void> {
  if (replicator.exitCode !== null) throw new Error(`it ended with ${replicator.exitCode}`);
  const closed = once(replicator, "close");
  replicator.kill("SIGKILL");
  await closed;
}
