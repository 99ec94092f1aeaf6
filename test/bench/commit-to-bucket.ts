/**
 * How long a commit takes to be in the bucket: Eddy and the real Litestream, one after the other, against
 * the same SeaweedFS through the same proxy, which tells when each PUT was answered.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { decodeLtx } from "../../shared/ltx/decoder.ts";
import { peerBinary } from "../support/litestream.ts";
import { startResigningProxy, type StoredObject } from "../support/resigning-proxy.ts";
import {
  seaweedReplica,
  seaweedUrl,
  startSeaweedFs,
  type SeaweedFs,
} from "../support/seaweedfs.ts";
import { usageOf } from "./process-usage.ts";
import { milliseconds, percentile, printTable } from "./statistics.ts";

/** How often the application commits. */
interface Rhythm {
  readonly beats: number;
  readonly intervalMs: number;
}

const QUIET: Rhythm = { beats: 20, intervalMs: 3_000 };
const BUSY: Rhythm = { beats: 200, intervalMs: 50 };

interface Contender {
  readonly name: string;
  start(path: string, server: SeaweedFs, folder: string): ChildProcess;
}

function eddy(name: string, interval: string | undefined): Contender {
  const options = interval === undefined ? [] : ["--sync-interval", interval];
  return {
    name,
    start(path, server) {
      const url = seaweedUrl(server, basename(dirname(path)));
      return spawn(
        process.execPath,
        ["replicator/eddy.mjs", "replicate", path, url, "--json", ...options],
        { stdio: "ignore", env: { ...process.env, ...server.env } },
      );
    },
  };
}

function litestream(name: string, interval: string | undefined): Contender {
  return {
    name,
    start(path, server, folder) {
      const prefix = basename(dirname(path));
      const config = join(folder, `${prefix}.json`);
      // JSON is YAML.
      writeFileSync(
        config,
        JSON.stringify({
          dbs: [
            {
              path,
              ...(interval && { "monitor-interval": interval }),
              replica: {
                ...seaweedReplica(server, prefix),
                ...(interval && { "sync-interval": interval }),
              },
            },
          ],
        }),
      );
      return spawn(peerBinary("litestream"), ["replicate", "-config", config], {
        stdio: "ignore",
        env: { ...process.env, ...server.env, AWS_CA_BUNDLE: undefined },
      });
    },
  };
}

/** Prints the table of commit to bucket. */
export async function benchCommitToBucket(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "eddy-bench-"));
  const { seaweed, stop } = await startSeaweedFs();
  try {
    const byDefault = [eddy("Eddy", undefined), litestream("Litestream 0.5.17", undefined)];
    const often = [
      eddy("Eddy, interval 10 ms", "10ms"),
      litestream("Litestream 0.5.17, intervals 10 ms", "10ms"),
    ];
    const tables: readonly (readonly [Rhythm, readonly Contender[]])[] = [
      [QUIET, byDefault],
      [BUSY, [...byDefault, ...often]],
    ];
    for (const [rhythm, contenders] of tables) {
      const rows = [["", "median", "p99", "files", "of a core", "resident"]];
      for (const contender of contenders) {
        rows.push(await measure(contender, rhythm, { seaweed, folder }));
      }
      const { beats, intervalMs } = rhythm;
      printTable(`commit to bucket, ${beats} commits, one every ${intervalMs} ms`, rows);
    }
  } finally {
    await stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(
  contender: Contender,
  rhythm: Rhythm,
  { seaweed, folder }: { readonly seaweed: SeaweedFs; readonly folder: string },
): Promise<string[]> {
  const path = join(mkdtempSync(join(folder, "db-")), "beats.db");
  const database = new DatabaseSync(path);
  database.exec(
    "PRAGMA journal_mode = WAL; CREATE TABLE beats (id INTEGER PRIMARY KEY, body TEXT)",
  );
  database.close();
  const stored: StoredObject[] = [];
  let onStored: (() => void) | undefined;
  const proxy = await startResigningProxy({
    upstream: seaweed.endpoint,
    accessKeyId: seaweed.env["AWS_ACCESS_KEY_ID"] ?? "",
    secretAccessKey: seaweed.env["AWS_SECRET_ACCESS_KEY"] ?? "",
    onStored(object) {
      if (object.path.includes("/0000/")) stored.push(object);
      onStored?.();
    },
  });
  const replicator = contender.start(path, { ...seaweed, endpoint: proxy.url }, folder);
  const ended = new Promise<never>((_, reject) => {
    replicator.once("exit", (code) => reject(new Error(`${contender.name} ended with ${code}`)));
  });
  ended.catch(() => {});
  const until = async (condition: () => boolean) => {
    while (!condition()) {
      await Promise.race([ended, new Promise<void>((resolve) => (onStored = resolve))]);
    }
  };
  await until(() => stored.length > 0);
  const before = usageOf(replicator.pid ?? 0).cpuSeconds;
  const startMs = performance.now();
  const committedAtMs = await writeBeats(path, rhythm);
  const seconds = (performance.now() - startMs) / 1000;
  const { cpuSeconds, residentBytes } = usageOf(replicator.pid ?? 0);
  const image = new Image(folder);
  const latencies: number[] = [];
  let seen = 0;
  let used = 0;
  await until(() => {
    for (; used < stored.length; used++) {
      const object = stored[used];
      if (!object) break;
      const newest = image.apply(object.body);
      for (; seen < newest; seen++) {
        latencies.push(object.storedAtMs - (committedAtMs.get(seen + 1) ?? Number.NaN));
      }
    }
    return seen === rhythm.beats;
  });
  replicator.kill("SIGKILL");
  await proxy.close();
  const [median, p99] = [percentile(latencies, 0.5), percentile(latencies, 0.99)];
  const core = `${(((cpuSeconds - before) / seconds) * 100).toFixed(1)} %`;
  const resident = `${(residentBytes / 1e6).toFixed(0)} MB`;
  const times = [milliseconds(median), milliseconds(p99)];
  return [contender.name, ...times, String(stored.length), core, resident];
}

async function writeBeats(path: string, rhythm: Rhythm): Promise<Map<number, number>> {
  const { beats, intervalMs } = rhythm;
  const args = ["test/bench/beat-writer.ts", path, String(beats), String(intervalMs)];
  const writer = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let printed = "";
  writer.stdout.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  await new Promise((resolve) => writer.once("close", resolve));
  return new Map(
    printed
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { id: number; committedAtMs: number })
      .map(({ id, committedAtMs }) => [id, committedAtMs]),
  );
}

/** The database as the bucket holds it, after each LTX file in turn. */
class Image {
  readonly #pages = new Map<number, Uint8Array>();
  readonly #path: string;

  constructor(folder: string) {
    this.#path = join(mkdtempSync(join(folder, "image-")), "image.db");
  }

  /** Applies one LTX file; returns the newest beat that the database now holds. */
  apply(ltx: Uint8Array): number {
    const { header, pages } = decodeLtx(ltx);
    for (const { pgno, data } of pages) this.#pages.set(pgno, data);
    const bytes = Buffer.alloc(header.commit * header.pageSize);
    for (const [pgno, data] of this.#pages) {
      if (pgno <= header.commit) bytes.set(data, (pgno - 1) * header.pageSize);
    }
    // Rollback-journal format, so that SQLite looks for no log beside the file.
    bytes.fill(1, 18, 20);
    writeFileSync(this.#path, bytes);
    const database = new DatabaseSync(this.#path, { readOnly: true });
    const row = database.prepare("SELECT coalesce(max(id), 0) AS newest FROM beats").get();
    database.close();
    return Number(row?.["newest"]);
  }
}
