/** Replicas to read from, written by Eddy's replicator into an S3 server. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { DatabaseSync } from "node:sqlite";
import { runCompaction } from "../../../replicator/compaction/run-compaction.ts";
import { openReplica } from "../../../replicator/storage/open-store.ts";
import { listLtxFiles } from "../../../shared/replica/list-ltx-files.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { RunningReplication } from "../../support/running-replication.ts";
import { seaweedUrl, type SeaweedFs } from "../../support/seaweedfs.ts";
import { createAgedShop, createHugeShop, createShop } from "./shop-database.ts";

/** How a replica that has grown for a while looks: files of each level above the first image. */
const GROWN = [
  { level: 3, files: 24, transactions: 4 },
  { level: 2, files: 11, transactions: 3 },
  { level: 1, files: 9, transactions: 2 },
  { level: 0, files: 30, transactions: 1 },
] as const;
/** Of these, files that are newer than the edge bundle. */
const NEWER_THAN_BUNDLE = 11;

export interface PreparedReplica {
  readonly title: string;
  /** Its path in the bucket. */
  readonly path: string;
  /** The database file that it is a replica of. */
  readonly databasePath: string;
  readonly rows: number;
  /** Bytes in the text of a row, about. */
  readonly rowBytes: number;
}

export interface Place {
  readonly seaweed: SeaweedFs;
  readonly folder: string;
}

/** One image, and an edge bundle unless the title says otherwise. */
export async function prepareImage(
  place: Place,
  { megabytes, isIndexed }: { megabytes: number; isIndexed: boolean },
): Promise<PreparedReplica> {
  const name = `${megabytes}${isIndexed ? "" : "-bare"}`;
  const databasePath = join(place.folder, `${name}.db`);
  const rows = createShop(databasePath, megabytes * 1_000_000);
  await replicate(place, databasePath, name, isIndexed ? [] : ["--no-edge-bundle"]);
  if (isIndexed) await index(place, name);
  const title = `${megabytes} MB${isIndexed ? "" : ", no bundle"}`;
  return { title, path: name, databasePath, rows, rowBytes: 150 };
}

/** One image of many gigabytes, of one table only, whose rows compress well. */
export async function prepareHuge(place: Place, megabytes: number): Promise<PreparedReplica> {
  const databasePath = join(place.folder, "huge.db");
  const rows = createHugeShop(databasePath, megabytes * 1_000_000);
  await replicate(place, databasePath, "huge");
  await index(place, "huge");
  return { title: `${megabytes} MB`, path: "huge", databasePath, rows, rowBytes: 3_500 };
}

/** The same with an aged tree. */
export async function prepareAged(place: Place, rows: number): Promise<PreparedReplica> {
  const databasePath = join(place.folder, "aged.db");
  createAgedShop(databasePath, rows);
  await replicate(place, databasePath, "aged");
  await index(place, "aged");
  return { title: "aged", path: "aged", databasePath, rows, rowBytes: 300 };
}

/** An image with files of every level on top of it; the last of level 0 are newer than the bundle. */
export async function prepareGrown(place: Place, megabytes: number): Promise<PreparedReplica> {
  const databasePath = join(place.folder, "grown.db");
  const rows = createShop(databasePath, megabytes * 1_000_000);
  const replica = openReplica(seaweedUrl(place.seaweed, "grown"), {
    env: place.seaweed.env,
    writing: true,
  });
  const work = join(place.folder, "work");
  mkdirSync(work);
  const database = new DatabaseSync(databasePath);
  const change = database.prepare(
    "UPDATE items SET score = score + 1, name = name || '*' WHERE id = ?",
  );
  let turn = 0;
  const running = await RunningReplication.start({ databasePath, replica });
  try {
    await running.sync();
    for (const { level, files, transactions } of GROWN) {
      for (let file = 0; file < files; file++) {
        for (let transaction = 0; transaction < transactions; transaction++) {
          change.run(((++turn * 7_919) % rows) + 1);
          await running.sync();
        }
        if (level > 0) await mergeNewest(replica, { level, transactions, work });
        if (level === 0 && file === files - NEWER_THAN_BUNDLE - 1) await index(place, "grown");
      }
    }
  } finally {
    await running.stop();
    database.close();
  }
  const count = GROWN.map(({ level, files }) => `${files} L${level}`).join(", ");
  const title = `${megabytes} MB and ${count}`;
  return { title, path: "grown", databasePath, rows, rowBytes: 150 };
}

/** The newest files of level 0 become one of `level`. */
async function mergeNewest(
  replica: Replica,
  { level, transactions, work }: { level: number; transactions: number; work: string },
): Promise<void> {
  const all = await Array.fromAsync(listLtxFiles(replica, { level: 0 }));
  const files = all.slice(-transactions);
  await runCompaction({ replica, level, files, folder: work });
  await replica.store.delete(files.map(({ key }) => key));
}

async function replicate(
  place: Place,
  databasePath: string,
  name: string,
  flags: readonly string[] = [],
): Promise<void> {
  const url = seaweedUrl(place.seaweed, name);
  await eddy(place, ["replicate", databasePath, url, "--once", ...flags]);
}

async function index(place: Place, name: string): Promise<void> {
  await eddy(place, ["index", seaweedUrl(place.seaweed, name)]);
}

async function eddy({ seaweed }: Place, args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, ["replicator/eddy.mjs", ...args], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, ...seaweed.env },
  });
  const [status] = (await once(child, "exit")) as [number | null];
  if (status !== 0) throw new Error(`eddy ${args.join(" ")} ended with ${status}`);
}
