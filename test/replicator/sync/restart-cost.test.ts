import { rmSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { expect, it } from "vitest";
import type { ReplicationEvent } from "../../../replicator/sync/events.ts";
import { Replication } from "../../../replicator/sync/sync-loop.ts";
import { listLtxFiles } from "../../../shared/replica/list-ltx-files.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { createLiveDatabase } from "../../support/live-database.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

it("a restart uploads what differs, and nothing when nothing does", async () => {
  using live = createLiveDatabase({ pageSize: 4096, cachePages: 1_000 });
  live.exec(
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
     INSERT INTO t (body) SELECT randomblob(3900) FROM n`,
  );
  live.app.close();
  const replica = replicaIn(new MemoryStore());
  const run = async () => {
    const events: ReplicationEvent[] = [];
    const onEvent = (event: ReplicationEvent) => void events.push(event);
    const replication = await Replication.start({ databasePath: live.path, replica, onEvent });
    await replication.once(new AbortController().signal);
    replication.close();
    return events.filter(({ event }) => event === "compared" || event === "uploaded");
  };
  const storedBytes = async () => {
    let bytes = 0;
    for await (const { sizeBytes } of listLtxFiles(replica, { level: 0 })) bytes += sizeBytes;
    return bytes;
  };
  await run();
  const wholeBytes = await storedBytes();
  expect(wholeBytes).toBeGreaterThan(7_800_000);
  expect(await run()).toMatchObject([{ event: "compared", differing: 0 }]);
  expect(await storedBytes()).toBe(wholeBytes);
  const app = new DatabaseSync(live.path);
  app.exec("UPDATE t SET body = randomblob(3900) WHERE id % 100 = 0");
  app.close();
  const pages = statSync(live.path).size / 4096;
  expect(await run()).toMatchObject([
    { event: "compared", pages, differing: 20 },
    { event: "uploaded", txid: "0000000000000002" },
  ]);
  expect((await storedBytes()) - wholeBytes).toBeLessThan(21 * 4096);
  // Another place knows nothing of what was shipped.
  rmSync(`${live.folder}/.app.db-litestream`, { recursive: true });
  expect(await run()).toMatchObject([{ event: "uploaded", txid: "0000000000000003" }]);
  expect(await storedBytes()).toBeGreaterThan(2 * wholeBytes);
});
