import { expect, it } from "vitest";
import { Replication } from "../../../replicator/sync/sync-loop.ts";
import { ReplicaError } from "../../../shared/errors.ts";
import { formatHeadKey } from "../../../shared/replica/edge-bundle/bundle-keys.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import type { ObjectStore } from "../../../shared/storage/object-store.ts";
import { createLiveDatabase } from "../../support/live-database.ts";
import { replicaIn, txid } from "../../support/replica-fixtures.ts";

const NEVER = new AbortController().signal;

it("a replication that is stopped while its bundle is written ships what is left", async () => {
  using live = createLiveDatabase({ pageSize: 4096 });
  const memory = new MemoryStore();
  const writing = Promise.withResolvers<void>();
  const store: ObjectStore = {
    list: (options) => memory.list(options),
    get: (key, options) => memory.get(key, options),
    delete: (keys, options) => memory.delete(keys, options),
    put: (key, body, options) => {
      if (key !== formatHeadKey(replica)) return memory.put(key, body, options);
      writing.resolve();
      // As a store that does not answer.
      return new Promise((_resolve, reject) =>
        options?.signal?.addEventListener("abort", () =>
          reject(new ReplicaError("ABORTED", "the operation was cancelled")),
        ),
      );
    },
  };
  const replica = replicaIn(store);
  const replication = await Replication.start({
    databasePath: live.path,
    replica,
    edgeBundle: true,
    levelIntervalsMs: [],
  });
  const stop = new AbortController();
  const running = replication.run(stop.signal);
  live.exec("INSERT INTO t (body) VALUES (randomblob(4500000))");
  expect(await replication.sync(NEVER)).toBe(txid(1));
  await writing.promise;
  live.exec("INSERT INTO t (body) VALUES (1)");
  stop.abort();
  expect(await running).toMatchObject({ uploaded: txid(2), waiting: 0 });
  replication.close();
});
