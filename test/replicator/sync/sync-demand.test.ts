import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Replication } from "../../../replicator/sync/sync-loop.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

let folder: string;
let app: DatabaseSync;
let replication: Replication;
let stop: AbortController;
let store: MemoryStore;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "eddy-sync-"));
  const databasePath = join(folder, "app.db");
  app = new DatabaseSync(databasePath);
  app.exec("PRAGMA journal_mode = wal; CREATE TABLE t (a)");
  store = new MemoryStore();
  // So long that nothing but a demand ships what comes after the burst.
  const syncIntervalMs = 3_600_000;
  replication = await Replication.start({
    databasePath,
    replica: replicaIn(store),
    syncIntervalMs,
  });
  stop = new AbortController();
});
afterEach(() => {
  app.close();
  replication.close();
  rmSync(folder, { recursive: true });
});

const never = new AbortController().signal;

describe("Replication.sync", () => {
  it("ships at once what is committed, and answers with the TXID that is in the store", async () => {
    const running = replication.run(stop.signal);
    for (let row = 0; row < 40; row++) {
      app.exec(`INSERT INTO t VALUES (${row})`);
      const txid = await replication.sync(never);
      expect(replication.state).toMatchObject({ txid, uploaded: txid, waiting: 0 });
    }
    const { txid } = replication.state;
    expect(await replication.sync(never)).toBe(txid);
    stop.abort();
    await running;
  });

  it("is refused when its signal has fired, and when the replication has ended", async () => {
    const running = replication.run(stop.signal);
    await expect(replication.sync(AbortSignal.abort())).rejects.toMatchObject({ code: "ABORTED" });
    stop.abort();
    await running;
    await expect(replication.sync(never)).rejects.toMatchObject({ code: "ABORTED" });
  });
});
