/** A database in a store that counts, beside the real SQLite that says which of its pages a query reads. */
import { encodeLtx } from "../../shared/ltx/encoder.ts";
import { formatLtxKey, type Replica } from "../../shared/replica/ltx-key.ts";
import { LocationCache } from "../../shared/replica/edge-bundle/location-cache.ts";
import { snapshotOf } from "../../shared/replica/edge-bundle/read-bundle-head.ts";
import { storeSink } from "../../shared/replica/edge-bundle/bundle-sink.ts";
import { updateBundle } from "../../shared/replica/edge-bundle/update-bundle.ts";
import { PageCache } from "../../shared/replica/page-cache.ts";
import { PageReader } from "../../shared/replica/page-reader.ts";
import { openSnapshot, type Snapshot } from "../../shared/replica/snapshot.ts";
import { MemoryStore } from "../../shared/storage/memory-store.ts";
import { openBundle } from "./bundle-fixtures.ts";
import { countingStore, type CountingStore } from "./counting-store.ts";
import { concatBytes, ltxHeader } from "./ltx-fixtures.ts";
import { tracedDatabase, type TracedDatabase } from "./page-trace.ts";
import { replicaIn, txid } from "./replica-fixtures.ts";
import { withLatency } from "./with-latency.ts";

export interface TracedReplica {
  readonly database: TracedDatabase;
  readonly store: CountingStore;
  /** A reader with nothing at hand but page 1 and the schema. */
  bareReader(cacheBytesMax?: number): Promise<PageReader>;
  /** One that begins with the head of an edge bundle. */
  bundledReader(): Promise<PageReader>;
}

const CACHE_BYTES_MAX = 32_000_000;

/** A database, and what is read of it. */
export interface TracedImage {
  readonly database: TracedDatabase;
  readonly store: CountingStore;
  readonly replica: Replica;
  readonly snapshot: Snapshot;
}

/** A replica of one image. */
export async function tracedImage(bytes: Uint8Array): Promise<TracedImage> {
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
  return { database, store, replica, snapshot: await openSnapshot(replica, { kind: "latest" }) };
}

/** The same, and its edge bundle. */
export async function tracedReplica(bytes: Uint8Array): Promise<TracedReplica> {
  const { database, store, replica, snapshot } = await tracedImage(bytes);
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
