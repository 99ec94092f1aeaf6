import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Replication } from "../../../replicator/sync/sync-loop.ts";
import { listAllFiles } from "../../../shared/replica/load-plan.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { contentOf } from "../../support/database-equality.ts";
import { nameOf, replicaIn } from "../../support/replica-fixtures.ts";
import { restoredImage } from "../../support/restored-image.ts";

const { signal: never } = new AbortController();

let folder: string;
let app: DatabaseSync;
let nowMs: number;
let replica: Replica;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "eddy-once-"));
  app = new DatabaseSync(join(folder, "app.db"));
  app.exec("PRAGMA journal_mode = wal; CREATE TABLE t (a)");
  nowMs = 1_000_000_000_000;
  replica = replicaIn(new MemoryStore({ now: () => nowMs }));
});
afterEach(() => {
  app.close();
  rmSync(folder, { recursive: true });
});

async function start(): Promise<Replication> {
  const databasePath = join(folder, "app.db");
  return await Replication.start({ databasePath, replica, now: () => nowMs });
}

const level = async (number: number) =>
  (await listAllFiles(replica)).filter((file) => file.level === number).map(nameOf);

it("a replication that does not run writes a snapshot of all that is committed, and deletes what is old", async () => {
  for (let run = 1; run <= 3; run++) {
    const replication = await start();
    app.exec(`INSERT INTO t VALUES (${run})`);
    await replication.once(never);
    app.exec(`INSERT INTO t VALUES (${-run})`);
    expect(await replication.snapshotNow(never)).toBe(true);
    expect(replication.state.waiting).toBe(0);
    expect(await replication.snapshotNow(never)).toBe(false);
    app.exec("DELETE FROM t WHERE a = 99; INSERT INTO t VALUES (99)");
    expect(await replication.snapshotNow(never)).toBe(true);
    nowMs += 50 * 3_600_000;
    await replication.enforceRetentionNow(never);
    replication.close();
  }
  // The newest, and the one before it.
  expect(await level(9)).toHaveLength(2);
  const restored = join(folder, "restored.db");
  writeFileSync(restored, await restoredImage(replica));
  expect(contentOf(restored)).toEqual(contentOf(join(folder, "app.db")));
});

it("a replication that runs does so beside its captures", async () => {
  const replication = await start();
  const stop = new AbortController();
  const running = replication.run(stop.signal);
  app.exec("INSERT INTO t VALUES (1)");
  expect(await replication.snapshotNow(never)).toBe(true);
  const [snapshot] = await level(9);
  expect(snapshot).toBe(
    `L9[1${replication.state.txid === 1n ? "" : `-${replication.state.txid}`}]`,
  );
  await replication.enforceRetentionNow(never);
  stop.abort();
  await running;
  replication.close();
  await expect(replication.snapshotNow(never)).rejects.toMatchObject({ code: "ABORTED" });
});
