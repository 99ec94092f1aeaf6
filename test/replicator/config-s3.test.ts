import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDatabase, rowsOf } from "../support/cli-fixture.ts";
import { eddy } from "../support/eddy-cli.ts";
import { startLocalR2, type LocalR2 } from "../support/local-r2.ts";

const folder = mkdtempSync(join(tmpdir(), "eddy-config-s3-"));
const at = (name: string) => join(folder, name);
let r2: LocalR2;
beforeAll(async () => {
  r2 = await startLocalR2();
});
afterAll(async () => {
  await r2.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("eddy replicate with Litestream's configuration of a bucket", () => {
  it("takes credentials and defaults from the file, and puts every database in its place", async () => {
    for (const name of ["app.db", "one.db", "two.db"]) createDatabase(at(name));
    writeFileSync(
      at("litestream.yml"),
      `access-key-id: ${r2.accessKeyId}
secret-access-key: $THE_SECRET
endpoint: ${r2.endpoint}
region: auto
bucket: ${r2.bucket}
snapshot:
  retention: 168h

dbs:
  - path: ${at("app.db")}
    replica:
      type: s3
      path: prod/app.db
  - dir: ${folder}
    pattern: "*e.db"
    replica:
      type: s3
      path: prod/all/
  - path: ${at("two.db")}
    replicas:
      - url: ${r2.storeUrl("prod/two")}
        sync-interval: 1s
`,
    );
    const env = { THE_SECRET: r2.secretAccessKey, LITESTREAM_CONFIG: at("litestream.yml") };
    expect(await eddy(["replicate", "-once"], env)).toMatchObject({ status: 0 });
    const { objects } = await r2.binding.list();
    const first = "0000/0000000000000001-0000000000000001.ltx";
    // Beside the lease and the edge bundle of each.
    const keys = objects.map(({ key }) => key).filter((key) => key.endsWith(".ltx"));
    expect(keys).toEqual([`prod/all/one.db/${first}`, `prod/app.db/${first}`, `prod/two/${first}`]);
    const restore = ["restore", r2.storeUrl("prod/all/one.db"), "-o", at("restored.db")];
    expect(await eddy(restore, r2.env)).toMatchObject({ status: 0 });
    expect(rowsOf(at("restored.db"))).toEqual(rowsOf(at("one.db")));

    const listed = await eddy(["databases", "-json"], env);
    expect(listed.stdout).not.toContain(r2.secretAccessKey);
    expect(
      (JSON.parse(listed.stdout) as { replica: string }[]).map(({ replica }) => replica),
    ).toEqual(["s3", "s3", "s3"]);
  });

  it("says which credentials are missing, before it begins", async () => {
    const config = at("without.yml");
    writeFileSync(config, `dbs: [{path: ${at("app.db")}, replica: {url: "s3://b/p?region=auto"}}]`);
    const { status, stderr } = await eddy(["replicate", "--config", config]);
    expect(stderr).toContain("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    expect(status).toBe(2);
  });
});
