import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { DatabaseSync } from "node:sqlite";
import { expect, it } from "vitest";
import { Replication } from "../../../replicator/sync/sync-loop.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

it("a log that was begun anew in a long file is captured as far as it goes, however fast it grows", async () => {
  const folder = mkdtempSync(join(tmpdir(), "eddy-anew-"));
  const databasePath = join(folder, "app.db");
  const app = new DatabaseSync(databasePath);
  app.exec("PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (a)");
  /** False while a checkpoint holds the write lock: in one thread there is no waiting for it. */
  const commit = () => {
    try {
      app.exec("INSERT INTO t VALUES (1)");
      return true;
    } catch (error) {
      if (!/locked/.test(String(error))) throw error;
      return false;
    }
  };
  const committed = async () => {
    while (!commit()) await setImmediate();
  };
  let isBusy = false;
  let staged = 0;
  const checkpointed = Promise.withResolvers<void>();
  const replication = await Replication.start({
    databasePath,
    replica: replicaIn(new MemoryStore()),
    syncIntervalMs: 10,
    levelIntervalsMs: [],
    // Asked for each file: the application commits between any two of them.
    now: () => {
      if (isBusy) commit();
      return Date.now();
    },
    onEvent: ({ event }) => {
      if (event === "staged") staged++;
      if (event === "checkpointed") checkpointed.resolve();
    },
  });
  const stop = new AbortController();
  const running = replication.run(stop.signal);
  // Long enough to be checkpointed; the next commit begins the log anew, in a file as long as before.
  for (let row = 0; row < 60; row++) app.exec("INSERT INTO t VALUES (randomblob(100000))");
  await checkpointed.promise;
  await committed();
  await replication.sync(stop.signal);
  expect(statSync(`${databasePath}-wal`).size).toBeGreaterThan(4_000_000);
  staged = 0;
  isBusy = true;
  await committed();
  await replication.sync(stop.signal, false);
  isBusy = false;
  // Some by the pace; up to where the log ended before, it would be a thousand.
  expect(staged).toBeLessThan(100);
  stop.abort();
  await running;
  replication.close();
  app.close();
  rmSync(folder, { recursive: true });
});
