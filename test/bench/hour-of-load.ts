/**
 * What an hour of a database costs on R2: the real replicator on a real database, every interval of its
 * defaults divided by 60 and an hour passed in a minute. The lease keeps its own time and is added by
 * arithmetic.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { Replication } from "../../replicator/sync/sync-loop.ts";
import { MemoryStore } from "../../shared/storage/memory-store.ts";
import { countingStore, type CountingStore } from "../support/counting-store.ts";
import { replicaIn } from "../support/replica-fixtures.ts";
import { printTable } from "./statistics.ts";

/** So many seconds of the hour pass in one. */
const FACTOR = 60;
const HOUR_MS = 3_600_000 / FACTOR;
/** A busy lease is renewed so often in an hour: see `Lease.hold`. */
const LEASE_PUTS_AN_HOUR = 240;
const HOURS_A_MONTH = 730;
/** Dollars a million operations, R2, November 2026. */
const CLASS_A_DOLLARS = 4.5;
const CLASS_B_DOLLARS = 0.36;

interface Load {
  readonly name: string;
  /** Between two commits, in milliseconds of the hour; undefined: none. */
  readonly everyMs: number | undefined;
}

const LOADS: readonly Load[] = [
  { name: "a commit every 200 ms", everyMs: 200 },
  { name: "a commit every 10 s", everyMs: 10_000 },
  { name: "quiet", everyMs: undefined },
];

/** Prints the table of what an hour costs. */
export async function benchHourOfLoad(): Promise<void> {
  const rows = [
    ["", "files", "PUT", "LIST", "GET", "DELETE", "an hour", "a month of such hours"],
    ...(await Promise.all(LOADS.map(measure))),
  ];
  printTable("an hour of load, in operations of the store and R2's price", rows);
}

async function measure({ name, everyMs }: Load): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "eddy-bench-"));
  const databasePath = join(folder, "app.db");
  const database = new DatabaseSync(databasePath);
  database.exec("PRAGMA journal_mode = wal; CREATE TABLE beats (id INTEGER PRIMARY KEY, body)");
  const store = countingStore(new MemoryStore());
  const replication = await Replication.start({
    databasePath,
    replica: replicaIn(store),
    syncIntervalMs: 1_000 / FACTOR,
    levelIntervalsMs: [30_000, 300_000, 3_600_000].map((ms) => ms / FACTOR),
    snapshotIntervalMs: 86_400_000 / FACTOR,
    snapshotRetentionMs: 86_400_000 / FACTOR,
    l0RetentionMs: 300_000 / FACTOR,
    retentionCheckIntervalMs: 15_000 / FACTOR,
    lease: false,
  });
  const stop = new AbortController();
  const running = replication.run(stop.signal);
  try {
    // The first image and the burst of tokens are over before the hour begins.
    await replication.sync(stop.signal);
    store.reset();
    const from = replication.state.txid ?? 0n;
    await write(databasePath, everyMs);
    const files = Number((replication.state.txid ?? 0n) - from);
    return row(name, files, store, everyMs !== undefined && everyMs < 15_000);
  } finally {
    stop.abort();
    await running;
    replication.close();
    database.close();
    rmSync(folder, { recursive: true });
  }
}

/** Commits at its rhythm for an hour, as a process of its own: it must be able to wait for a lock. */
async function write(path: string, everyMs: number | undefined): Promise<void> {
  if (everyMs === undefined) {
    await delay(HOUR_MS);
    return;
  }
  const count = Math.round((HOUR_MS * FACTOR) / everyMs);
  const args = ["test/bench/beat-writer.ts", path, String(count), String(everyMs / FACTOR)];
  const writer = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
  await once(writer, "exit");
}

function row(name: string, files: number, store: CountingStore, isLeased: boolean): string[] {
  const puts = store.puts + (isLeased ? LEASE_PUTS_AN_HOUR : 0);
  const classA = puts + store.lists;
  const dollars = (classA * CLASS_A_DOLLARS + store.gets * CLASS_B_DOLLARS) / 1e6;
  const counts = [files, puts, store.lists, store.gets, store.deletes].map(String);
  return [name, ...counts, `$${dollars.toFixed(4)}`, `$${(dollars * HOURS_A_MONTH).toFixed(2)}`];
}
