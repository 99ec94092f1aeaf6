/** A database in a store that counts, beside the real SQLite that says which of its pages a query reads. */
import { encodeLtx } from "../../shared/ltx/encoder.ts";
import { formatLtxKey } from "../../shared/replica/ltx-key.ts";
import { LocationCache } from "../../shared/replica/edge-bundle/location-cache.ts";
import { snapshotOf } from "../../shared/replica/edge-bundle/read-bundle-head.ts";
import { storeSink } from "../../shared/replica/edge-bundle/bundle-sink.ts";
import { updateBundle } from "../../shared/replica/edge-bundle/update-bundle.ts";
import { PageCache } from "../../shared/replica/page-cache.ts";
import { PageReader } from "../../shared/replica/page-reader.ts";
import { openSnapshot } from "../../shared/replica/snapshot.ts";
import { MemoryStore } from "../../shared/storage/memory-store.ts";
import type { ObjectStore } from "../../shared/storage/object-store.ts";
import { openBundle } from "./bundle-fixtures.ts";
import { countingStore, type CountingStore } from "./counting-store.ts";
import { concatBytes, ltxHeader } from "./ltx-fixtures.ts";
import { tracedDatabase, type TracedDatabase } from "./page-trace.ts";
import { replicaIn, txid } from "./replica-fixtures.ts";

export interface TracedReplica {
  readonly database: TracedDatabase;
  readonly store: CountingStore;
  /** A reader with nothing at hand but page 1 and the schema. */
  bareReader(cacheBytesMax?: number): Promise<PageReader>;
  /** One that begins with the head of an edge bundle. */
  bundledReader(): Promise<PageReader>;
}

const CACHE_BYTES_MAX = 32_000_000;

/** A replica of one image, and its edge bundle. */
export async function tracedReplica(bytes: Uint8Array): Promise<TracedReplica> {
  const database = tracedDatabase(bytes);
  const { pageSize, pageCount } = database;
  const memory = new MemoryStore();
  const store = countingStore(withLatency(memory));
  const replica = replicaIn(store);
  const pages = Array.from({ length: pageCount }, (_, index) => ({
    pgno: index + 1,
    data: database.page(index + 1),
  }));
  const key = formatLtxKey(replica, { level: 9, minTxid: txid(1), maxTxid: txid(1) });
  await memory.put(key, concatBytes(encodeLtx(ltxHeader({ commit: pageCount, pageSize }), pages)));
  const snapshot = await openSnapshot(replica, { kind: "latest" });
  await updateBundle(replica, storeSink(replica));
  return {
    database,
    store,
    async bareReader(bytesMax = CACHE_BYTES_MAX) {
      const cache = new PageCache({ bytesMax });
      for (const pgno of database.opening) await new PageReader(snapshot, { cache }).load(pgno);
      store.reset();
      return new PageReader(snapshot, { cache });
    },
    async bundledReader() {
      const cache = new PageCache({ bytesMax: CACHE_BYTES_MAX });
      const head = await openBundle(replica, new LocationCache({ bytesMax: 8_000_000 }));
      store.reset();
      return new PageReader(snapshotOf(replica, head), { cache });
    },
  };
}

/** Every read takes one turn of the event loop, so that reads side by side are answered together. */
function withLatency(store: ObjectStore): ObjectStore {
  return {
    list: (options) => store.list(options),
    get: async (key, options) => {
      await new Promise((resolve) => setImmediate(resolve));
      return store.get(key, options);
    },
    put: (key, body, options) => store.put(key, body, options),
    delete: (keys, options) => store.delete(keys, options),
  };
}
