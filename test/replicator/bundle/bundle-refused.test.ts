/** The replicator's edge bundle in a store that refuses. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { keepBundle } from "../../../replicator/sync/keep-bundle.ts";
import { Lease } from "../../../replicator/sync/lease.ts";
import { Staging } from "../../../replicator/sync/staging.ts";
import { ReplicaError } from "../../../shared/errors.ts";
import {
  formatBasePrefix,
  formatHeadKey,
} from "../../../shared/replica/edge-bundle/bundle-keys.ts";
import { readStoredHead } from "../../../shared/replica/edge-bundle/update-bundle.ts";
import { formatLtxKey, type Replica } from "../../../shared/replica/ltx-key.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import type { ObjectStore } from "../../../shared/storage/object-store.ts";
import { openBundle } from "../../support/bundle-fixtures.ts";
import { countingStore, type CountingStore } from "../../support/counting-store.ts";
import { MaintenanceFixture } from "../../support/maintenance-fixture.ts";
import { replicaIn, txid } from "../../support/replica-fixtures.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const LARGE = "INSERT INTO t (body) VALUES (randomblob(4500000))";

let clock: { nowMs: number };
let memory: MemoryStore;
let store: CountingStore;
let replica: Replica;
beforeEach(() => {
  clock = { nowMs: Date.UTC(2026, 10, 26) };
  memory = new MemoryStore({ now: () => clock.nowMs });
  store = countingStore(memory);
  replica = replicaIn(store);
});

const now = () => clock.nowMs;
const ignore = () => undefined;
const start = (options: Parameters<typeof MaintenanceFixture.start>[2] = {}) =>
  MaintenanceFixture.start(replica, clock, {
    edgeBundle: true,
    levelIntervalsMs: [],
    retentionEnabled: false,
    snapshotIntervalMs: 100 * HOUR,
    ...options,
  });

/** The head covers all that was captured, and names no file that is not there. */
async function expectCovered(fixture: MaintenanceFixture): Promise<void> {
  const head = await openBundle(replica);
  expect(head.txid).toBe(fixture.capture.capture.txid);
  for (const file of head.files) {
    expect(await memory.get(formatLtxKey(replica, file))).toBeDefined();
  }
}

/** As a bucket whose credentials may not delete. */
function withoutDeleting(inner: ObjectStore): ObjectStore {
  return {
    list: (options) => inner.list(options),
    get: (key, options) => inner.get(key, options),
    put: (key, body, options) => inner.put(key, body, options),
    delete: () => Promise.reject(new ReplicaError("STORE_DENIED", "no right to delete")),
  };
}

describe("the replicator's edge bundle, where the store refuses", () => {
  it("keeps no history from beginning where nothing may be deleted, and leads nowhere then", async () => {
    {
      using fixture = await start();
      await fixture.commit(3);
      await fixture.pass(MINUTE);
      await expectCovered(fixture);
    }
    const listed = await memory.list({ prefix: "" });
    await memory.delete(listed.objects.map(({ key }) => key).filter((key) => key.endsWith(".ltx")));
    replica = replicaIn(withoutDeleting(store));
    using fixture = await start();
    await fixture.commit(1);
    const first = { level: 0, minTxid: txid(1), maxTxid: txid(1) };
    expect(await memory.get(formatLtxKey(replica, first))).toBeDefined();
    expect(await readStoredHead(replica)).toBeUndefined();
    await fixture.pass(MINUTE);
    await expectCovered(fixture);
  });

  it("names no file for long that went while it could not be written, also when nothing follows", async () => {
    let isBroken = false;
    const broken: ObjectStore = {
      list: (options) => store.list(options),
      get: (key, options) => store.get(key, options),
      delete: (keys, options) => store.delete(keys, options),
      put: (key, body, options) => {
        if (isBroken && key === formatHeadKey(replica)) throw new ReplicaError("R2_ERROR", "no");
        return store.put(key, body, options);
      },
    };
    replica = replicaIn(broken);
    using fixture = await start({
      levelIntervalsMs: [30 * SECOND],
      retentionEnabled: true,
      l0RetentionMs: 5 * MINUTE,
    });
    await fixture.commit(5);
    await fixture.pass(MINUTE);
    isBroken = true;
    while (fixture.said("retention-deleted").length === 0) await fixture.pass(5 * SECOND);
    isBroken = false;
    await fixture.pass(2 * MINUTE);
    await expectCovered(fixture);
    store.reset();
    await fixture.pass(3 * MINUTE);
    expect(store).toMatchObject({ puts: 0, lists: 0 });
  });

  it("leaves bases where they may not be deleted, and complains of nothing", async () => {
    replica = replicaIn(withoutDeleting(store));
    using fixture = await start();
    for (let round = 0; round < 4; round++) {
      await fixture.commit(1, LARGE);
      await fixture.pass(MINUTE);
    }
    const { objects } = await memory.list({ prefix: formatBasePrefix(replica) });
    expect(objects.length).toBeGreaterThan(2);
    expect(fixture.said("bundle-failed")).toEqual([]);
    await expectCovered(fixture);
  });

  it("is not taken away by a replicator that has no right to the path, and has not found out yet", async () => {
    const folder = mkdtempSync(join(tmpdir(), "eddy-bundle-"));
    const staging = await Staging.open(join(folder, "app.db"));
    const lease = await Lease.look({ replica, recordPath: staging.leaseRecordPath, now });
    const text = new TextEncoder();
    const other = { generation: 1, expires_at: "2999-01-01T00:00:00Z", owner: "another" };
    await memory.put("db/lock.json", text.encode(JSON.stringify(other)));
    await memory.put(formatHeadKey(replica), text.encode("another's"));
    const kept = keepBundle(true, { replica, lease, staging, onEvent: ignore, now });
    const key = formatLtxKey(replica, { level: 0, minTxid: txid(1), maxTxid: txid(1) });
    const put = kept.replica.store.put(key, text.encode("a first file"));
    await expect(put).rejects.toMatchObject({ code: "WRITER_CONFLICT" });
    expect(await memory.get(formatHeadKey(replica))).toBeDefined();
    rmSync(folder, { recursive: true });
  });
});
