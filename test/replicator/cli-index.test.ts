import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openReplica } from "../../replicator/storage/open-store.ts";
import { openSnapshot } from "../../shared/replica/snapshot.ts";
import { openBundle } from "../support/bundle-fixtures.ts";
import { createCliFixture, rowsOf, type CliFixture } from "../support/cli-fixture.ts";
import { eddy } from "../support/eddy-cli.ts";
import { startLocalR2 } from "../support/local-r2.ts";

let fixture: CliFixture;
beforeEach(async () => {
  fixture = await createCliFixture(["--no-edge-bundle"]);
});
afterEach(() => fixture.remove());

const index = (...flags: string[]) => eddy(["index", fixture.replicaUrl, ...flags]);
const bundleFolder = () => fixture.at("replica/eddy");
const bases = () => readdirSync(bundleFolder()).filter((name) => name.startsWith("base-"));

async function commitRow(body: string): Promise<void> {
  const database = new DatabaseSync(fixture.at("app.db"));
  database.prepare("INSERT INTO t (body) VALUES (?)").run(body);
  database.close();
  const replicate = [
    "replicate",
    fixture.at("app.db"),
    fixture.replicaUrl,
    "--once",
    "--no-edge-bundle",
  ];
  expect(await eddy(replicate)).toMatchObject({ status: 0 });
}

describe("eddy index of a bucket", () => {
  it("makes the same index there as in a folder, under the bucket's names", async () => {
    const r2 = await startLocalR2();
    try {
      const url = r2.storeUrl("prod/app.db");
      const replicate = ["replicate", fixture.at("app.db"), url, "--once", "--no-edge-bundle"];
      expect(await eddy(replicate, r2.env)).toMatchObject({ status: 0 });
      const { stdout } = await eddy(["index", url, "--json"], r2.env);
      const { head, base, written } = JSON.parse(stdout);
      expect(written).toBe("all");
      expect(head.key).toBe("prod/app.db/eddy/head");
      expect(base.key).toMatch(/^prod\/app\.db\/eddy\/base-[0-9a-f]{16}-[0-9a-f]{16}$/);
      for (const { key, size_bytes } of [head, base]) {
        expect((await r2.binding.head(key))?.size).toBe(size_bytes);
      }
      const { signal } = new AbortController();
      const replica = openReplica(url, { env: r2.env, writing: false, signal });
      const bundle = await openBundle(replica);
      const snapshot = await openSnapshot(replica, { kind: "latest" });
      expect(bundle.plan.files.map(({ key, etag }) => ({ key, etag }))).toEqual(
        snapshot.plan.files.map(({ key, etag }) => ({ key, etag })),
      );
    } finally {
      await r2.close();
    }
  });
});

describe("eddy index", () => {
  it("makes an index beside the replica, and the replica stays what it was", async () => {
    const { status, stdout, stderr } = await index();
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(
      /^the index is at TXID 0{15}2, over \d LTX files\nhead +.* B  1 pages, and .*\nbase +\d+ B +of TXID 0{15}2, new\n\d+ ms\n$/,
    );
    expect(readFileSync(join(bundleFolder(), "head")).subarray(0, 8).toString()).toBe("EDDYHEAD");
    expect(bases()).toHaveLength(1);
    const restore = ["restore", fixture.replicaUrl, "-o", fixture.at("out.db")];
    expect(await eddy(restore)).toMatchObject({ status: 0 });
    expect(rowsOf(fixture.at("out.db"))).toHaveLength(3);
    expect(await eddy(["verify", fixture.replicaUrl])).toMatchObject({ status: 0 });
  });

  it("does what is new, then nothing, and all of it where that is asked for", async () => {
    const written = async (...flags: string[]) =>
      JSON.parse((await index("--json", ...flags)).stdout).written;
    expect(await written()).toBe("all");
    expect(await written()).toBe("none");
    await commitRow("four");
    expect(await written("--dry-run")).toBe("head");
    const { stdout } = await index("--json");
    expect(JSON.parse(stdout)).toEqual({
      replica: fixture.replicaUrl,
      dry_run: false,
      written: "head",
      txid: "0000000000000003",
      timestamp: expect.stringMatching(/^20.*Z$/),
      page_count: 2,
      page_size: 4096,
      files: expect.any(Number),
      head: {
        key: "eddy/head",
        size_bytes: readFileSync(join(bundleFolder(), "head")).length,
        pages: 1,
        roots: 1,
        newer_pages: 1,
        newer_bytes: expect.any(Number),
      },
      base: {
        key: `eddy/${bases()[0]}`,
        size_bytes: readFileSync(join(bundleFolder(), bases()[0])).length,
        txid: "0000000000000002",
        map_bytes: expect.any(Number),
      },
      deleted: [],
      duration_ms: expect.any(Number),
    });
    expect(await written("--rebuild")).toBe("all");
  });

  it("writes nothing in a dry run", async () => {
    const { status, stdout } = await index("--dry-run");
    expect(status).toBe(0);
    expect(stdout).toContain("would be at TXID");
    expect(existsSync(bundleFolder())).toBe(false);
  });

  it("deletes bases that nobody names any more, and neither young ones nor the one before", async () => {
    await index();
    const [first] = bases();
    const names = [
      "base-0000000000000001-00000000000000aa",
      "base-0000000000000001-00000000000000bb",
    ];
    for (const name of names) writeFileSync(join(bundleFolder(), name), "left over");
    utimesSync(join(bundleFolder(), names[0]), 1_700_000_000, 1_700_000_000);
    utimesSync(join(bundleFolder(), first), 1_700_000_000, 1_700_000_000);
    await commitRow("four");
    const { stdout } = await index("--rebuild");
    expect(stdout).toContain("deleted 1 older bases");
    expect(bases()).toHaveLength(3);
    expect(bases()).toEqual(expect.arrayContaining([first, names[1]]));
  });

  it("refuses to vouch for a file that is damaged, and names it", async () => {
    const name = readdirSync(fixture.at("replica/ltx/0"))[0];
    const path = fixture.at(`replica/ltx/0/${name}`);
    const bytes = readFileSync(path);
    bytes[200] ^= 1;
    writeFileSync(path, bytes);
    const { status, stderr } = await index();
    expect(status).toBe(4);
    expect(stderr).toContain(`"ltx/0/${name}" is damaged`);
    expect(existsSync(join(bundleFolder(), "head"))).toBe(false);
  });

  it("says so where there is no replica, in lines and as JSON", async () => {
    const nowhere = ["index", `file://${fixture.at("nowhere")}`];
    expect(await eddy(nowhere)).toMatchObject({ status: 3, stdout: "" });
    const { status, stdout } = await eddy([...nowhere, "--json"]);
    expect(status).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({ code: "DB_NOT_FOUND" });
  });

  it("explains itself", async () => {
    const { status, stdout } = await eddy(["index", "--help"]);
    expect(status).toBe(0);
    expect(stdout).toContain("make or refresh a replica's side index");
    expect(stdout).toContain("--dry-run");
  });
});
