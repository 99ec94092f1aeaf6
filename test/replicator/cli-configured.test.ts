/** Commands that are given a database of the configuration in the place of a URL. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCliFixture, createDatabase, rowsOf } from "../support/cli-fixture.ts";
import { eddy } from "../support/eddy-cli.ts";

const { at, remove } = await createCliFixture();
afterAll(remove);
const config = at("litestream.yml");
const NEWEST = "0000000000000002";

beforeAll(async () => {
  mkdirSync(at("tenants"));
  createDatabase(at("tenants/a.db"));
  writeFileSync(
    config,
    `dbs:
  - path: ${at("app.db")}
    replica: { url: file://${at("replica")} }
  - dir: ${at("tenants")}
    pattern: "*.db"
    meta-dir: ${at("meta")}
    replica: { path: ${at("tenant-replicas")} }
`,
  );
  expect(await eddy(["replicate", "--config", config, "--once"])).toMatchObject({ status: 0 });
});

async function json(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<unknown> {
  const { status, stdout, stderr } = await eddy([...args, "--json"], env);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return JSON.parse(stdout);
}

describe("a database of the configuration", () => {
  it("is enough for ltx, timeline and restore, by --config and by LITESTREAM_CONFIG", async () => {
    const rows = await json(["ltx", at("app.db"), "--config", config]);
    expect(rows).toMatchObject([{ max_txid: "0000000000000001" }, { max_txid: NEWEST }]);
    expect(await json(["ltx", at("app.db")], { LITESTREAM_CONFIG: config })).toEqual(rows);
    expect(await json(["timeline", at("app.db"), "--config", config])).toEqual(
      await json(["timeline", `file://${at("replica")}`]),
    );
    const args = ["restore", at("app.db"), "--config", config, "-o", at("copy.db")];
    expect(await json(args)).toMatchObject({ txid: NEWEST, replica: `file://${at("replica")}` });
    expect(rowsOf(at("copy.db"))).toHaveLength(3);
  });

  it("is restored to its own place, and not over itself", async () => {
    const args = ["restore", at("app.db"), "--config", config];
    expect(await eddy(args)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("exists already"),
    });
    for (const suffix of ["", "-wal", "-shm"]) rmSync(at(`app.db${suffix}`), { force: true });
    expect(await json([...args, "--dry-run"])).toMatchObject({ target_path: at("app.db") });
    expect(await json(args)).toMatchObject({ db_path: at("app.db"), txid: NEWEST });
    expect(rowsOf(at("app.db"))).toHaveLength(3);
  });

  it("is found in a folder too when its file is gone", async () => {
    for (const suffix of ["", "-wal", "-shm"]) rmSync(at(`tenants/a.db${suffix}`), { force: true });
    await json(["restore", at("tenants/a.db"), "--config", config]);
    expect(rowsOf(at("tenants/a.db"))).toHaveLength(2);
  });

  it("is what verify holds the replica against", async () => {
    // With its staged files in a place of their own.
    createDatabase(at("tenants/b.db"));
    const replicate = ["replicate", "--config", config, "--once"];
    expect(await eddy(replicate)).toMatchObject({ status: 0 });
    expect(await json(["verify", at("tenants/b.db"), "--config", config])).toMatchObject({
      ok: true,
      live: { db_path: at("tenants/b.db"), state: "equal" },
    });
  });

  it("is reset where the configuration puts its staged files", async () => {
    const level = at("meta/a.db-litestream/ltx");
    expect(existsSync(level)).toBe(true);
    const args = ["reset", at("tenants/a.db"), "--config", config];
    expect(await json(args)).toMatchObject({ removed: level });
    expect(existsSync(level)).toBe(false);
  });

  it.each([
    ["one that it does not name", () => ["ltx", at("other.db"), "--config", config], "is none of"],
    ["a URL beside it", () => ["ltx", `file://${at("replica")}`, "--config", config], "exclude"],
    ["a path without any", () => ["ltx", at("app.db")], "is not a replica's URL"],
  ])("refuses %s", async (_name, args, sentence) => {
    expect(await eddy(args())).toMatchObject({
      status: 2,
      stderr: expect.stringContaining(sentence),
    });
  });
});
