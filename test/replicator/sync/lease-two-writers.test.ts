import { fork } from "node:child_process";
import { once } from "node:events";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openReplica } from "../../../replicator/storage/open-store.ts";
import { CLOCK_SLACK_MS, LEASE_MS } from "../../../replicator/sync/lease-document.ts";
import type { ReplicationEvent } from "../../../replicator/sync/events.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { contentOf } from "../../support/database-equality.ts";
import { gatedStore } from "../../support/gated-store.ts";
import { createLiveDatabase, type LiveDatabase } from "../../support/live-database.ts";
import { startLocalR2, type LocalR2 } from "../../support/local-r2.ts";
import {
  restoredContent,
  RunningReplication,
  storedTxids,
} from "../../support/running-replication.ts";

const PROGRAM = fileURLToPath(new URL("../../support/replicator-process.ts", import.meta.url));
const CONFLICT = { code: "WRITER_CONFLICT" };

let r2: LocalR2;
let live: LiveDatabase;
/** The same database on another machine: a staging directory of its own. */
let elsewhere: LiveDatabase;
beforeAll(async () => {
  r2 = await startLocalR2();
}, 60_000);
afterAll(() => r2.close());
beforeEach(() => {
  live = createLiveDatabase();
  live.exec("INSERT INTO t (body) VALUES ('here')");
  elsewhere = createLiveDatabase();
  elsewhere.exec("INSERT INTO t (body) VALUES ('elsewhere')");
});
afterEach(async () => {
  live[Symbol.dispose]();
  elsewhere[Symbol.dispose]();
  await r2.clear();
});

const afterExpiry = () => Date.now() + LEASE_MS + CLOCK_SLACK_MS;

/** Ships what is there by a process of its own, and kills that. */
async function shipAndKill(databasePath: string, url: string): Promise<void> {
  const child = fork(PROGRAM, [databasePath, url], { env: { ...process.env, ...r2.env } });
  const ended = once(child, "exit");
  const uploaded = new Promise<void>((resolve) => {
    child.on("message", ({ event }: ReplicationEvent) => {
      if (event === "uploaded") resolve();
    });
  });
  await Promise.race([uploaded, ended]);
  child.kill("SIGKILL");
  expect(await ended).toEqual([null, "SIGKILL"]);
}

describe.each([
  ["a bucket", () => r2.storeUrl("prod/app.db")],
  ["a folder", () => `file://${join(live.folder, "replica")}`],
])("two replicators on one path of %s", (_name, urlOf) => {
  let url: string;
  let replica: Replica;
  beforeEach(() => {
    url = urlOf();
    replica = openReplica(url, { env: r2.env, writing: true });
  });

  it("the second is refused, names the first, and changes nothing", async () => {
    await using first = await RunningReplication.start({ databasePath: live.path, replica });
    await first.sync();
    await expect(
      RunningReplication.start({ databasePath: elsewhere.path, replica }),
    ).rejects.toMatchObject({
      ...CONFLICT,
      message: expect.stringMatching(
        /another replicator writes to this path: .*belongs to/,
      ) as string,
    });
    live.exec("INSERT INTO t (body) VALUES ('more')");
    await first.sync();
    expect(await storedTxids(replica)).toEqual([1n, 2n]);
    expect(await restoredContent(replica)).toEqual(contentOf(live.path));
  });

  it("of two that find the path free the slower stops before it has written anything", async () => {
    const gated = gatedStore(replica.store);
    const lease = gated.holdNext((key) => key.endsWith("lock.json"));
    await using slow = await RunningReplication.start({
      databasePath: live.path,
      replica: { ...replica, store: gated },
    });
    await lease.arrived;
    await using quick = await RunningReplication.start({ databasePath: elsewhere.path, replica });
    await quick.sync();
    lease.release();
    await expect(slow.ended()).rejects.toMatchObject(CONFLICT);
    expect(await storedTxids(replica)).toEqual([1n]);
    expect(await restoredContent(replica)).toEqual(contentOf(elsewhere.path));
  });

  it("the one that was idle stops when another has been there meanwhile, and starts again after it", async () => {
    await using idle = await RunningReplication.start({ databasePath: live.path, replica });
    await idle.sync();
    const other = await RunningReplication.start({
      databasePath: elsewhere.path,
      replica,
      now: afterExpiry,
    });
    await other.sync();
    await other.stop();
    await other[Symbol.asyncDispose]();
    live.exec("INSERT INTO t (body) VALUES ('after the pause')");
    // Its lease has half of its time left by its own clock, so it is the fence that stops it.
    await expect(idle.ended()).rejects.toMatchObject(CONFLICT);
    await idle[Symbol.asyncDispose]();
    expect(await restoredContent(replica)).toEqual(contentOf(elsewhere.path));
    await using again = await RunningReplication.start({
      databasePath: live.path,
      replica,
      now: () => afterExpiry() + LEASE_MS,
    });
    await again.sync();
    expect(await storedTxids(replica)).toEqual([1n, 2n, 3n]);
    expect(await restoredContent(replica)).toEqual(contentOf(live.path));
  });

  it("after a SIGKILL the same staging directory takes over at once, another one after the lease has run out", async () => {
    await shipAndKill(live.path, url);
    await expect(
      RunningReplication.start({ databasePath: elsewhere.path, replica }),
    ).rejects.toMatchObject(CONFLICT);
    live.exec("INSERT INTO t (body) VALUES ('after the kill')");
    await using next = await RunningReplication.start({ databasePath: live.path, replica });
    await next.sync();
    expect(await restoredContent(replica)).toEqual(contentOf(live.path));
    await next[Symbol.asyncDispose]();
    live.exec("INSERT INTO t (body) VALUES ('before the next kill')");
    await shipAndKill(live.path, url);
    await using other = await RunningReplication.start({
      databasePath: elsewhere.path,
      replica,
      now: afterExpiry,
    });
    await other.sync();
    const txids = await storedTxids(replica);
    expect(txids).toEqual(txids.map((_, index) => BigInt(index + 1)));
    expect(await restoredContent(replica)).toEqual(contentOf(elsewhere.path));
  });

  it("a clean end lets another begin without waiting for the lease", async () => {
    const first = await RunningReplication.start({ databasePath: live.path, replica });
    await first.sync();
    await first.stop();
    await first[Symbol.asyncDispose]();
    await using second = await RunningReplication.start({
      databasePath: elsewhere.path,
      replica,
      now: () => Date.now() + CLOCK_SLACK_MS,
    });
    await second.sync();
    expect(await restoredContent(replica)).toEqual(contentOf(elsewhere.path));
  });
});

describe("two replicators on two copies of one staging directory", () => {
  it("cannot both be the one that goes on", async () => {
    const url = r2.storeUrl("prod/app.db");
    const replica = openReplica(url, { env: r2.env, writing: true });
    await shipAndKill(live.path, url);
    // As a machine that was cloned: the record is the same, but the first renews.
    await using first = await RunningReplication.start({ databasePath: live.path, replica });
    const record = join(live.folder, ".app.db-litestream/eddy.lease");
    const before = join(live.folder, "record");
    copyFileSync(record, before);
    live.exec("INSERT INTO t (body) VALUES ('renewed')");
    await first.sync();
    await using clone = await RunningReplication.start({
      databasePath: elsewhere.path,
      replica,
      now: afterExpiry,
    });
    await clone.stop();
    await clone[Symbol.asyncDispose]();
    copyFileSync(before, join(elsewhere.folder, ".app.db-litestream/eddy.lease"));
    await expect(
      RunningReplication.start({ databasePath: elsewhere.path, replica }),
    ).rejects.toMatchObject(CONFLICT);
  });
});
