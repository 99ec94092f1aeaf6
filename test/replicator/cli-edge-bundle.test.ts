import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openReplica } from "../../replicator/storage/open-store.ts";
import { eddy } from "../support/eddy-cli.ts";
import { openBundle } from "../support/bundle-fixtures.ts";

let folder: string;
let path: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "eddy-cli-bundle-"));
  path = join(folder, "app.db");
  const database = new DatabaseSync(path);
  database.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)");
  database.close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const replicaAt = (name: string) => {
  const url = `file://${join(folder, name)}`;
  return { url, replica: openReplica(url, { env: {}, writing: false }) };
};

it("replicate --once leaves an edge bundle of what it has shipped", async () => {
  const { url, replica } = replicaAt("bundled");
  expect(await eddy(["replicate", path, url, "--once"])).toMatchObject({ status: 0 });
  expect((await openBundle(replica)).txid).toBe(1n);
});

it("replicate --no-edge-bundle leaves none", async () => {
  const { url, replica } = replicaAt("bare");
  const args = ["replicate", path, url, "--once", "--no-edge-bundle"];
  expect(await eddy(args)).toMatchObject({ status: 0 });
  const { objects } = await replica.store.list({ prefix: "eddy/" });
  expect(objects).toEqual([]);
});
