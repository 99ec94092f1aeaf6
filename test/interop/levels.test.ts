import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openReplica } from "../../replicator/storage/open-store.ts";
import type { ReplicationEvent } from "../../replicator/sync/events.ts";
import { Replication } from "../../replicator/sync/sync-loop.ts";
import { listLtxFiles, type LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import { contentOf } from "../support/database-equality.ts";
import { litestream } from "../support/litestream.ts";
import { commitWhenFree } from "../support/write-lock.ts";

const folder = mkdtempSync(join(tmpdir(), "eddy-levels-"));
const path = join(folder, "app.db");
const url = `file://${join(folder, "replica")}`;
const replica = openReplica(url, { env: {}, writing: true });
const events: ReplicationEvent[] = [];

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function filesOf(level: number): Promise<LtxFileInfo[]> {
  return await Array.fromAsync(listLtxFiles(replica, { level }));
}

const compactedTo = (level: number) =>
  events.filter((event) => event.event === "compacted" && event.level === level).length;

const count = (kind: ReplicationEvent["event"]) =>
  events.filter(({ event }) => event === kind).length;

function restoreWithEddy(output: string): void {
  const args = ["replicator/cli.ts", "restore", url, "-o", output];
  expect(spawnSync(process.execPath, args).status).toBe(0);
}

describe("a replica whose levels and snapshots Eddy wrote, and from which it deleted what is old", () => {
  beforeAll(async () => {
    const app = new DatabaseSync(path);
    app.exec(
      `PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT);
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
         INSERT INTO t SELECT i, hex(randomblob(100)) FROM n`,
    );
    const replication = await Replication.start({
      databasePath: path,
      replica,
      onEvent: (event) => events.push(event),
      syncIntervalMs: 0,
      levelIntervalsMs: [100, 400, 1_200],
      snapshotIntervalMs: 500,
      snapshotRetentionMs: 600,
      l0RetentionMs: 300,
      retentionCheckIntervalMs: 50,
    });
    const stop = new AbortController();
    const running = replication.run(stop.signal);
    const update = app.prepare("UPDATE t SET body = hex(randomblob(100)) WHERE id % 97 = ?");
    const shrink = app.prepare("DELETE FROM t WHERE id > 1500 AND id % 13 = ?");
    const isDone = () =>
      compactedTo(3) > 1 &&
      compactedTo(1) > 4 &&
      count("snapshot-written") > 3 &&
      count("retention-deleted") > 3;
    for (let round = 0; !isDone(); round++) {
      await commitWhenFree(app, () => {
        update.run(round % 97);
        if (round % 20 === 0) shrink.run(round % 13);
      });
      // What waits for the store stays short, also on a slow disk.
      await replication.sync(stop.signal);
    }
    stop.abort();
    await running;
    replication.close();
    app.close();
    const left = await filesOf(0);
    expect(left.length).toBeLessThan(count("uploaded"));
    expect(left[0]?.minTxid).toBeGreaterThan(1n);
  }, 240_000);

  it("is restored by Litestream, every row equal", () => {
    const restored = join(folder, "theirs.db");
    expect(litestream(["restore", "-o", restored, url])).toMatchObject({ status: 0 });
    expect(contentOf(restored)).toEqual(contentOf(path));
  });

  it("is restored by Eddy, every row equal", () => {
    const restored = join(folder, "ours.db");
    restoreWithEddy(restored);
    expect(contentOf(restored)).toEqual(contentOf(path));
  });

  it("failed in nothing while it was written", () => {
    expect(events.filter(({ event }) => /failed|refused/.test(event))).toEqual([]);
  });

  it("is carried on by Litestream, and restored by us after that", () => {
    const app = new DatabaseSync(path);
    app.exec("UPDATE t SET body = 'theirs' WHERE id = 1");
    app.close();
    expect(litestream(["replicate", "-once", path, url])).toMatchObject({ status: 0 });
    const restored = join(folder, "carried-on.db");
    restoreWithEddy(restored);
    expect(contentOf(restored)).toEqual(contentOf(path));
  });
});
