/**
 * SQL out of a bucket that takes 25 ms a request: our Worker's reader and Litestream's VFS, on the same objects
 * in the same S3 server behind the same proxy, in one run.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startSeaweedFs } from "../../support/seaweedfs.ts";
import { milliseconds, printTable } from "../statistics.ts";
import { printCosts } from "./costs.ts";
import { startDelayingProxy, type DelayingProxy } from "./delaying-proxy.ts";
import { printMemory } from "./memory.ts";
import {
  prepareAged,
  prepareGrown,
  prepareHuge,
  prepareImage,
  type Place,
  type PreparedReplica,
} from "./replicas.ts";
import { startVfs, startWorker } from "./readers.ts";
import { AGED_STEPS, FIRST, measure, STEPS, type Measured, type Step } from "./steps.ts";
import { printWarm } from "./warm.ts";

const DELAY_MS = 25;
const RUNS = 3;

interface Setting extends Place {
  readonly proxy: DelayingProxy;
}

/** Prints the tables of the cold path, of warm repeats and of costs. */
export async function benchColdPath(): Promise<void> {
  await inSetting(async (setting) => {
    const image = await prepareImage(setting, { megabytes: 100, isIndexed: true });
    await compare(setting, image, { goal: "75 ms, 2 trips", steps: STEPS });
    await printWarm(setting, image);
    await printCosts(setting, image);
    const bare = await prepareImage(setting, { megabytes: 100, isIndexed: false });
    await compare(setting, bare, { goal: "180 ms, 6 trips" });
    const grown = await prepareGrown(setting, 100);
    await compare(setting, grown, { goal: "130 ms, 4 trips" });
    await compare(setting, await prepareAged(setting, 200_000), { steps: AGED_STEPS });
    const small = await prepareImage(setting, { megabytes: 10, isIndexed: true });
    await compare(setting, small, { goal: "2 trips" });
  });
}

/** The same first query, and memory, on databases of 1 and 10 GB; takes 20 GB of disk and some minutes. */
export async function benchColdPathLarge(): Promise<void> {
  await inSetting(async (setting) => {
    const large = await prepareImage(setting, { megabytes: 1_000, isIndexed: true });
    await compare(setting, large, { goal: "3 trips" });
    await printMemory(setting, large);
    const huge = await prepareHuge(setting, 10_000);
    await compare(setting, huge, { goal: "3 trips" });
    await printMemory(setting, huge);
  });
}

async function inSetting(run: (setting: Setting) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "eddy-bench-"));
  const { seaweed, stop } = await startSeaweedFs();
  const proxy = await startDelayingProxy(seaweed.endpoint, DELAY_MS);
  try {
    await run({ seaweed, folder, proxy });
  } finally {
    await proxy.close();
    await stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function compare(
  { seaweed, proxy }: Setting,
  replica: PreparedReplica,
  { goal = "", steps = [] }: { goal?: string; steps?: readonly Step[] },
): Promise<void> {
  const all = [{ ...FIRST, goal }, ...steps];
  const ours: Measured[][] = [];
  for (let run = 0; run < RUNS; run++) {
    await using worker = await startWorker(seaweed, proxy.url);
    worker.use(replica.path);
    const measured: Measured[] = [];
    for (const step of all) measured.push(await measure(worker, proxy, step.ask(replica.rows)));
    ours.push(measured);
  }
  await using vfs = await startVfs(seaweed, proxy.url, replica.path);
  const rows = [["", "Eddy", "requests", "trips", "KB", "Litestream VFS", "requests", "goal"]];
  for (const [at, step] of all.entries()) {
    const runs = ours.map((measured) => measured[at]);
    const median = runs.toSorted((a, b) => a.ms - b.ms)[Math.floor(RUNS / 2)];
    const peer = step.isOursOnly ? undefined : await measure(vfs, proxy, step.ask(replica.rows));
    if (peer && JSON.stringify(peer.rows) !== JSON.stringify(median.rows)) {
      throw new Error(`the answers to "${step.name}" differ`);
    }
    rows.push([
      step.name,
      milliseconds(median.ms),
      String(median.lists + median.gets),
      String(median.roundTrips),
      String(Math.round(median.bytes / 1_000)),
      peer ? milliseconds(peer.ms) : "",
      peer ? String(peer.lists + peer.gets) : "",
      step.goal,
    ]);
  }
  const title = `${replica.title}, ${DELAY_MS} ms a request; ours: median of ${RUNS} new isolates`;
  printTable(title, rows);
}
