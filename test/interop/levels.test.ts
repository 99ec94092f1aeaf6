import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setImmediate } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openReplica } from "../../replicator/storage/open-store.ts";
import type { ReplicationEvent } from "../../replicator/sync/events.ts";
import { Replication } from "../../replicator/sync/sync-loop.ts";
import { listLtxFiles, type LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import { contentOf } from "../support/database-equality.ts";
import { litestream } from "../support/litestream.ts";

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

function restoreWithEddy(output: string): void {
  const args = ["replicator/cli.ts", "restore", url, "-o", output];
  expect(spawnSync(process.execPath, args).status).toBe(0);
}

describe("a replica whose levels Eddy wrote", () => {
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
    });
    const stop = new AbortController();
    const running = replication.run(stop.signal);
    const update = app.prepare("UPDATE t SET body = hex(randomblob(100)) WHERE id % 97 = ?");
    const shrink = app.prepare("DELETE FROM t WHERE id > 1500 AND id % 13 = ?");
    for (let round = 0; compactedTo(3) < 2 || compactedTo(1) < 5; round++) {
      update.run(round % 97);
      if (round % 20 === 0) shrink.run(round % 13);
      await setImmediate();
    }
    stop.abort();
    await running;
    replication.close();
    app.close();
    // What Litestream's retention would leave of level 0.
    const merged = (await filesOf(1)).at(-1)?.maxTxid ?? 0n;
    const old = (await filesOf(0)).filter(({ maxTxid }) => maxTxid > 1n && maxTxid <= merged);
    expect(old.length).toBeGreaterThan(10);
    await replica.store.delete(old.map(({ key }) => key));
  });

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
    expect(events.filter(({ event }) => event === "compaction-failed")).toEqual([]);
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
