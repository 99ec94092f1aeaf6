import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openReplica } from "../../../replicator/storage/open-store.ts";
import type { ReplicationEvent } from "../../../replicator/sync/events.ts";
import { Replication } from "../../../replicator/sync/sync-loop.ts";
import { formatTxid, type Txid } from "../../../shared/ltx/txid.ts";
import type { LtxFileInfo } from "../../../shared/replica/list-ltx-files.ts";
import { listAllFiles, loadPlan } from "../../../shared/replica/load-plan.ts";
import { restorableTxids } from "../../../shared/replica/restore-plan.ts";
import { contentOf } from "../../support/database-equality.ts";
import { eddy } from "../../support/eddy-cli.ts";
import { startLocalR2, type LocalR2 } from "../../support/local-r2.ts";
import { restoredImage } from "../../support/restored-image.ts";
import { commitWhenFree } from "../../support/write-lock.ts";

const never = new AbortController().signal;

let r2: LocalR2;
let folder: string;
beforeAll(async () => {
  r2 = await startLocalR2();
  folder = mkdtempSync(join(tmpdir(), "eddy-kept-"));
}, 60_000);
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await r2.close();
});

function contentOfImage(image: Buffer): ReturnType<typeof contentOf> {
  const path = join(folder, "restored.db");
  writeFileSync(path, image);
  return contentOf(path);
}

describe.each(["a folder", "a bucket"])("a replica in %s", (place) => {
  const events: ReplicationEvent[] = [];
  /** What the application had written when a TXID was staged. */
  const writtenAt = new Map<Txid, number>();
  const url = () =>
    place === "a folder" ? `file://${join(folder, "replica")}` : r2.storeUrl("kept/app.db");
  const replica = () => openReplica(url(), { env: r2.env, writing: true });
  const path = () => join(folder, `${place.replace(" ", "-")}.db`);
  const count = (kind: ReplicationEvent["event"]) =>
    events.filter(({ event }) => event === kind).length;
  const files = () => listAllFiles(replica(), never, true);

  beforeAll(async () => {
    const app = new DatabaseSync(path());
    app.exec(
      `PRAGMA journal_mode = wal; CREATE TABLE counter (n INTEGER); INSERT INTO counter VALUES (0);
       CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, body BLOB);
       WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 800)
         INSERT INTO t SELECT n, 0, randomblob(900) FROM i`,
    );
    const replication = await Replication.start({
      databasePath: path(),
      replica: replica(),
      onEvent: (event) => events.push(event),
      syncIntervalMs: 0,
      levelIntervalsMs: [60, 240, 960],
      snapshotIntervalMs: 500,
      snapshotRetentionMs: 500,
      l0RetentionMs: 300,
      retentionCheckIntervalMs: 50,
    });
    const stop = new AbortController();
    const running = replication.run(stop.signal);
    const wanted = [
      ["snapshot-written", 4],
      ["retention-deleted", 4],
      ["checkpointed", 1],
    ] as const;
    for (let n = 1; wanted.some(([event, least]) => count(event) < least) && n < 5_000; n++) {
      await commitWhenFree(app, () => {
        app.exec(
          `UPDATE counter SET n = ${n}; UPDATE t SET n = ${n}, body = randomblob(900) WHERE id % 23 = ${n % 23}`,
        );
        if (n % 40 > 0) return;
        app.exec(
          "DELETE FROM t WHERE id > 700; INSERT INTO t SELECT id + 700, n, body FROM t WHERE id <= 100",
        );
      });
      const txid = await replication.sync(never);
      if (txid !== undefined) writtenAt.set(txid, n);
    }
    stop.abort();
    await running;
    replication.close();
    app.close();
  }, 240_000);

  it("failed in nothing, and lost what is old", async () => {
    const failures = events.filter(({ event }) => /failed|refused|unavailable/.test(event));
    expect(failures).toEqual([]);
    const left = Map.groupBy(await files(), ({ level }) => level);
    expect(left.get(0)?.length).toBeLessThan(count("uploaded"));
    expect(left.get(9)?.length).toBeLessThan(count("snapshot-written"));
    const levels = events.filter((event) => event.event === "compacted" && event.level === 1);
    expect(left.get(1)?.length).toBeLessThan(levels.length);
  });

  it("restores to what the database is", async () => {
    expect(contentOfImage(await restoredImage(replica()))).toEqual(contentOf(path()));
  });

  it("restores to what the database was at every TXID that it says it can", async () => {
    const txids = restorableTxids(await files());
    // All of the last ones, and some of those before.
    const some = [...txids.slice(0, 6), ...txids.slice(-6)];
    expect(new Set(some).size).toBeGreaterThan(6);
    for (const txid of some) {
      const { tables, integrity } = contentOfImage(
        await restoredImage(replica(), { kind: "txid", txid }),
      );
      expect(integrity).toBe("ok");
      const counter = tables["counter"]?.[0];
      const expected = writtenAt.get(txid);
      if (expected !== undefined) expect(counter).toEqual([BigInt(expected)]);
      const newest = (tables["t"] ?? []).map((row) => (row as [bigint, bigint])[1]);
      expect(newest.reduce((a, b) => (a > b ? a : b), 0n)).toBe((counter as [bigint])[0]);
    }
  });

  it("knows the oldest moment in each file that was merged", async () => {
    const merged = (await files()).filter(({ level }) => level > 0 && level < 9);
    expect(merged.length).toBeGreaterThan(2);
    const oldest = await Promise.all(merged.map((file) => oldestOf(replica(), file)));
    for (const [index, file] of merged.entries()) {
      expect(oldest[index]).toBeLessThanOrEqual(file.createdAtMs);
      const before = merged.findLastIndex(
        ({ level, maxTxid }) => level === file.level && maxTxid < file.minTxid,
      );
      expect(oldest[index]).toBeGreaterThan(oldest[before] ?? 0);
    }
    if (place !== "a folder") return;
    // And what stood beside a deleted file went with it; the end may have come between a merge's two writes.
    const beside = readdirSync(join(folder, "replica", "eddy", "oldest")).length;
    expect([merged.length, merged.length + 1]).toContain(beside);
    // A moment in the middle of a merged file says that it is not exact, one right at its end that it is.
    const [first, second] = merged.filter(({ level }) => level === 1);
    const before = second?.oldestAtMs ?? 0;
    const plan = await loadPlan(replica(), { kind: "time", beforeMs: before });
    expect(plan).toMatchObject({ exact: true, txid: first?.maxTxid });
  });

  it("has a timeline", async () => {
    const { status, stdout } = await eddy(["timeline", url(), "--json"], r2.env);
    expect(status).toBe(0);
    const rows = JSON.parse(stdout) as Record<string, unknown>[];
    const txids = restorableTxids(await files());
    expect(rows.reduce((sum, row) => sum + Number(row["moments"]), 0)).toBe(txids.length);
    expect(rows[0]).toMatchObject({ min_txid: formatTxid(txids[0]) });
    expect(rows.at(-1)).toMatchObject({ level: 0, max_txid: formatTxid(txids[txids.length - 1]) });
    for (const { min_timestamp: from, max_timestamp: to } of rows) {
      expect(Date.parse(String(from))).toBeLessThanOrEqual(Date.parse(String(to)));
    }
    const text = await eddy(["timeline", url()], r2.env);
    expect(text.stdout).toContain("what can be restored");
    expect(text.stdout.trim().split("\n")).toHaveLength(rows.length + 1);
  });
});

/** As it stands in the object's metadata, or in a folder beside the file. */
async function oldestOf(replica: ReturnType<typeof openReplica>, file: LtxFileInfo) {
  if (replica.layout === "folder") return file.oldestAtMs ?? 0;
  const { metadata } = (await replica.store.get(file.key))!;
  return Date.parse(metadata["eddy-oldest-timestamp"] ?? "");
}
