/** Metrics of a replica in a bucket, and what status says of it: over R2's S3 API. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Metrics } from "../../../replicator/metrics/metrics.ts";
import { openReplica } from "../../../replicator/storage/open-store.ts";
import { Replication } from "../../../replicator/sync/sync-loop.ts";
import { eddy } from "../../support/eddy-cli.ts";
import { parseExposition, valueOf } from "../../support/exposition.ts";
import { createLiveDatabase, type LiveDatabase } from "../../support/live-database.ts";
import { startLocalR2, type LocalR2 } from "../../support/local-r2.ts";

let r2: LocalR2;
let live: LiveDatabase;
beforeAll(async () => {
  r2 = await startLocalR2();
  live = createLiveDatabase();
});
afterAll(async () => {
  live[Symbol.dispose]();
  await r2.close();
});

describe("a replica in a bucket", () => {
  it("is counted as s3, and its pace has a price", async () => {
    const url = r2.storeUrl("prod/app.db");
    const metrics = new Metrics({ databases: () => [], now: () => performance.now() });
    const replication = await Replication.start({
      databasePath: live.path,
      replica: metrics.meter(openReplica(url, { env: r2.env, writing: true }), live.path),
      onEvent: (event) => metrics.observe(event, live.path),
    });
    live.exec("INSERT INTO t (body) VALUES (randomblob(3000))");
    await replication.once(new AbortController().signal);
    replication.close();
    const { objects } = await r2.binding.list({ prefix: "prod/app.db/0000/" });
    const seen = parseExposition(await metrics.text());
    const put = { replica_type: "s3", operation: "PUT" };
    expect(valueOf(seen, "litestream_replica_operation_total", put)).toBeGreaterThan(0);
    const sent = valueOf(seen, "litestream_replica_operation_bytes", put);
    expect(sent).toBeGreaterThanOrEqual(objects[0].size);
    expect(valueOf(seen, "eddy_ltx_files_total", { db: live.path, level: "0" })).toBe(
      objects.length,
    );

    const args = ["status", live.path, "--replica", url, "--sync-interval", "2s"];
    const { status, stdout } = await eddy([...args, "--json"], r2.env);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject([
      {
        status: "ok",
        local_txid: "0000000000000001",
        replica: { txid: "0000000000000001", waiting: 0, lag_seconds: 0 },
        pacing: { sync_interval_seconds: 2, uploads_per_month: 1_296_000, dollars_per_month: 5.83 },
      },
    ]);
    expect((await eddy(args, r2.env)).stdout).toContain("1,296,000 a month x $4.50 a million");
  });
});
