import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Metrics } from "../../../replicator/metrics/metrics.ts";
import { MetricsServer } from "../../../replicator/metrics/metrics-server.ts";
import { ReplicaError } from "../../../shared/errors.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { collectBytes } from "../../../shared/storage/bytes.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { ControlFixture } from "../../support/control-fixture.ts";
import { countingStore, type CountingStore } from "../../support/counting-store.ts";
import { parseExposition, valueOf, type Exposition } from "../../support/exposition.ts";
import { MaintenanceFixture } from "../../support/maintenance-fixture.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const never = new AbortController().signal;
const STARTED = {
  event: "started",
  db: "app.db",
  txid: null,
  switched_to_wal: false,
  resumed: false,
} as const;

let fixture: ControlFixture;
let metrics: Metrics;
let store: CountingStore;
let failing = 0;
let bytesWritten: number;
let staged: string[];
let checkpointed: PromiseWithResolvers<void>;
let db: string;
beforeEach(async () => {
  staged = [];
  bytesWritten = 0;
  checkpointed = Promise.withResolvers();
  metrics = new Metrics({
    databases: () => fixture.target.databases(),
    now: () => performance.now(),
  });
  fixture = await ControlFixture.start({
    wrap: (replica, path) => {
      store = countingStore(replica.store);
      return metrics.meter({ ...replica, store: failingStore() }, path);
    },
    onEvent: (event, path) => {
      metrics.observe(event, path);
      if (event.event === "checkpointed") checkpointed.resolve();
      if (event.event !== "staged") return;
      staged.push(event.txid);
    },
  });
  db = fixture.at("app.db");
});
afterEach(() => fixture[Symbol.asyncDispose]());

/** The counting store, which adds up what is written; its next `failing` writes are refused. */
function failingStore(): Replica["store"] {
  return {
    list: (options) => store.list(options),
    get: (key, options) => store.get(key, options),
    delete: (keys, options) => store.delete(keys, options),
    async put(key, body, options) {
      if (failing-- > 0) throw new ReplicaError("R2_ERROR", "the store is away");
      const bytes = await collectBytes(body, options?.signal);
      bytesWritten += bytes.length;
      return await store.put(key, bytes, options);
    },
  };
}

async function scrape(): Promise<Exposition> {
  return parseExposition(await metrics.text());
}

async function commit(rows: number): Promise<void> {
  for (let row = 0; row < rows; row++) {
    fixture.app.exec("INSERT INTO t (body) VALUES ('row')");
    await fixture.target.find(db)!.sync({ wait: true, signal: never });
  }
}

describe("Metrics", () => {
  it("agree with what was staged, stored and asked of the store", async () => {
    await commit(3);
    const seen = await scrape();
    const folder = fixture.at("replicas/app.db/ltx/0");
    const sizes = readdirSync(folder).map((name) => statSync(join(folder, name)).size);
    const txid = sizes.length;
    expect(txid).toBeGreaterThan(2);
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    const values = Object.fromEntries(
      [
        "litestream_txid",
        "eddy_uploaded_txid",
        "eddy_waiting_files",
        "eddy_replicating",
        "litestream_sync_count",
        "litestream_sync_error_count",
        "litestream_total_wal_bytes",
        "eddy_images_total",
        "eddy_commit_to_store_seconds_count",
      ].map((name) => [name, valueOf(seen, name, { db })]),
    );
    expect(values).toEqual({
      litestream_txid: txid,
      eddy_uploaded_txid: txid,
      eddy_waiting_files: 0,
      eddy_replicating: 1,
      litestream_sync_count: txid,
      litestream_sync_error_count: 0,
      litestream_total_wal_bytes: bytes,
      eddy_images_total: 1,
      eddy_commit_to_store_seconds_count: txid,
    });
    expect(staged).toHaveLength(txid);
    const put = { replica_type: "file", operation: "PUT" };
    expect(valueOf(seen, "litestream_replica_operation_total", put)).toBe(store.puts);
    expect(valueOf(seen, "litestream_replica_operation_bytes", put)).toBe(bytesWritten);
    expect(valueOf(seen, "litestream_replica_operation_duration_seconds_count", put)).toBe(
      store.puts,
    );
    const list = { db, class: "list" };
    expect(valueOf(seen, "eddy_store_operations_total", list)).toBe(store.lists);
    expect(valueOf(seen, "eddy_ltx_files_total", { db, level: "0" })).toBe(txid);
    expect(valueOf(seen, "litestream_db_size", { db })).toBe(statSync(db).size);
    expect(valueOf(seen, "litestream_wal_size", { db })).toBe(statSync(`${db}-wal`).size);
    expect(valueOf(seen, "process_resident_memory_bytes")).toBeGreaterThan(1e6);
  });

  it("count what the store refused by its code, and the sync that failed", async () => {
    await commit(1);
    failing = 1;
    await commit(1);
    const seen = await scrape();
    const labels = { replica_type: "file", operation: "PUT", code: "R2_ERROR" };
    expect(valueOf(seen, "litestream_replica_operation_errors_total", labels)).toBe(1);
    expect(valueOf(seen, "litestream_sync_error_count", { db })).toBe(1);
    expect(valueOf(seen, "eddy_waiting_files", { db })).toBe(0);
  });

  it("count checkpoints by their mode", async () => {
    const labels = { db, mode: "PASSIVE" };
    await commit(1);
    expect(valueOf(await scrape(), "litestream_checkpoint_count", labels)).toBe(0);
    fixture.app.exec(
      `PRAGMA wal_autocheckpoint = 0;
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
         INSERT INTO t (body) SELECT hex(randomblob(2000)) FROM n`,
    );
    await checkpointed.promise;
    const seen = await scrape();
    expect(valueOf(seen, "litestream_checkpoint_count", labels)).toBeGreaterThan(0);
    expect(valueOf(seen, "litestream_checkpoint_seconds", labels)).toBeGreaterThan(0);
  });

  it("count the files of level 0 by what retention makes of them", async () => {
    const clock = { nowMs: Date.UTC(2026, 10, 26) };
    const options = { l0RetentionMs: 60_000, levelIntervalsMs: [30_000] };
    const inMemory = replicaIn(new MemoryStore({ now: () => clock.nowMs }));
    using live = await MaintenanceFixture.start(inMemory, clock, options);
    const seen = async () => {
      for (const event of live.events.splice(0)) metrics.observe(event, live.live.path);
      const exposition = await scrape();
      return ["eligible", "not_compacted", "too_recent"].map((status) =>
        valueOf(exposition, "litestream_l0_retention_files_total", { db: "app.db", status }),
      );
    };
    metrics.observe(STARTED, live.live.path);
    expect(await seen()).toEqual([0, 0, 0]);
    await live.commit(4);
    await live.pass(31_000);
    // Merged, and too young to go.
    await live.commit(2);
    await live.maintenance.enforceRetentionNow(never);
    // The first holds the whole database, and is merged into nothing.
    expect(await seen()).toEqual([0, 3, 3]);
    await live.pass(90_000);
    expect(await live.level(0)).toBe("L0[1] L0[6]");
    // As it was found then: TXID 5 went, the newest stays.
    expect(await seen()).toEqual([1, 1, 1]);
  });

  it("no longer show the state of a database that is not replicated any more", async () => {
    await fixture.target.stop(db);
    expect(valueOf(await scrape(), "eddy_replicating", { db })).toBe(0);
    await fixture.target.unregister(db);
    expect(valueOf(await scrape(), "eddy_replicating", { db })).toBeUndefined();
  });

  it("show when the lease ends, as it was written last", async () => {
    const replica = metrics.meter(replicaIn(new MemoryStore()), db);
    const lease = { generation: 1, expires_at: "2026-11-26T10:00:30.000Z", owner: "host:1" };
    await replica.store.put("db/lock.json", Buffer.from(JSON.stringify(lease)));
    const expires = valueOf(await scrape(), "eddy_lease_expires_timestamp_seconds", { db });
    expect(expires).toBe(Date.parse(lease.expires_at) / 1_000);
  });
});

describe("the metrics server", () => {
  it("answers /metrics in Prometheus' format, and 404 elsewhere", async () => {
    await using server = await MetricsServer.start("127.0.0.1:0", metrics);
    const response = await fetch(server.url);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
    const { types } = parseExposition(await response.text());
    expect(types.get("litestream_txid")).toBe("gauge");
    expect(types.get("litestream_replica_operation_duration_seconds")).toBe("histogram");
    expect((await fetch(new URL("/", server.url))).status).toBe(404);
    expect((await fetch(new URL("/debug/pprof/", server.url))).status).toBe(404);
    expect((await fetch(server.url, { method: "POST" })).status).toBe(405);
  });

  it("lets go of its port when it is closed", async () => {
    const server = await MetricsServer.start("127.0.0.1:0", metrics);
    const { url } = server;
    const { host } = new URL(url);
    await fetch(url);
    await server.close();
    await expect(fetch(url)).rejects.toThrow();
    await using again = await MetricsServer.start(host, metrics);
    expect(again.url).toBe(url);
    await expect(MetricsServer.start(host, metrics)).rejects.toMatchObject({
      code: "LOCAL_FILE",
      message: expect.stringContaining(host),
    });
  });

  it.each(["9090", "localhost", ":99999", "a b:1:2", ""])(
    "refuses the address %j",
    async (addr) => {
      await expect(MetricsServer.start(addr, metrics)).rejects.toMatchObject({
        code: "BAD_CONFIG",
      });
    },
  );
});
