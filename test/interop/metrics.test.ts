/** The names that Litestream's dashboard asks for: those of the genuine one, held against ours. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Metrics } from "../../replicator/metrics/metrics.ts";
import { createDatabase } from "../support/cli-fixture.ts";
import { ControlFixture } from "../support/control-fixture.ts";
import { parseExposition, type Exposition } from "../support/exposition.ts";
import { freePort } from "../support/free-port.ts";
import { startLitestream } from "../support/litestream.ts";

/** Of each metric whose name begins with `litestream_`, its type and its labels. */
function shapesOf({ types, samples }: Exposition): Record<string, string> {
  const shapes: Record<string, string> = {};
  for (const [name, type] of types) {
    const [sample] = samples.get(name) ?? [];
    if (!name.startsWith("litestream_") || !sample) continue;
    shapes[name] = `${type} by ${Object.keys(sample.labels).toSorted().join(", ")}`;
  }
  return shapes;
}

async function theirs(): Promise<Exposition> {
  const folder = mkdtempSync(join(tmpdir(), "eddy-metrics-interop-"));
  try {
    const path = join(folder, "app.db");
    const config = join(folder, "litestream.yml");
    const addr = `127.0.0.1:${await freePort()}`;
    createDatabase(path);
    writeFileSync(
      config,
      `addr: "${addr}"
dbs:
  - path: ${path}
    replica: { url: file://${join(folder, "replica")} }
`,
    );
    const args = ["replicate", "-config", config];
    await using _ = await startLitestream(args, { ready: "starting compaction monitor" });
    return parseExposition(await (await fetch(`http://${addr}/metrics`)).text());
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

it("has every metric of Litestream's under its name, with its type and its labels", async () => {
  const metrics = new Metrics({
    databases: () => fixture.target.databases(),
    now: () => performance.now(),
  });
  const fixture = await ControlFixture.start({
    onEvent: (event, path) => metrics.observe(event, path),
    wrap: (replica, path) => metrics.meter(replica, path),
  });
  try {
    const path = fixture.at("app.db");
    const { signal } = new AbortController();
    await fixture.target.find(path)?.sync({ wait: true, signal });
    const ours = shapesOf(parseExposition(await metrics.text()));
    const expected = shapesOf(await theirs());
    expect(Object.keys(expected).length).toBeGreaterThan(6);
    expect(ours).toMatchObject(expected);
    // What the dashboard asks for beside these, and a folder's Litestream does not show.
    expect(ours).toMatchObject({
      litestream_checkpoint_count: "counter by db, mode",
      litestream_checkpoint_error_count: "counter by db, mode",
      litestream_replica_operation_total: "counter by operation, replica_type",
      litestream_replica_operation_bytes: "counter by operation, replica_type",
    });
  } finally {
    await fixture[Symbol.asyncDispose]();
  }
});
