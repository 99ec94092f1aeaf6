/** A database that is reached through a link: SQLite has its log beside the file, and so must everybody else. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { replicate } from "../../replicator/index.ts";
import { rowsOf } from "../support/cli-fixture.ts";
import { eddy } from "../support/eddy-cli.ts";

let folder: string;
let link: string;
let url: string;
let application: DatabaseSync;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "eddy-link-"));
  for (const name of ["data", "links"]) mkdirSync(join(folder, name));
  application = new DatabaseSync(join(folder, "data", "app.db"));
  application.exec("PRAGMA journal_mode = wal; CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)");
  link = join(folder, "links", "linked.db");
  symlinkSync(join(folder, "data", "app.db"), link);
  url = `file://${join(folder, "replica")}`;
});
afterEach(() => {
  application.close();
  rmSync(folder, { recursive: true, force: true });
});

const insert = () => application.exec("INSERT INTO t (body) VALUES ('row')");

async function restoredRows(): Promise<number> {
  const output = join(folder, `restored-${Math.random()}.db`);
  expect(await eddy(["restore", url, "-o", output])).toMatchObject({ status: 0 });
  return rowsOf(output).length;
}

describe("a database behind a link", () => {
  it("is replicated by the library, commit by commit", async () => {
    const replica = await replicate({ path: link, url });
    for (let rows = 1; rows <= 3; rows++) {
      insert();
      await replica.waitForUpload();
      expect(await restoredRows()).toBe(rows);
    }
    await replica.close();
    expect(readdirSync(join(folder, "links"))).toEqual(["linked.db"]);
  });

  it("is let go of, with an error, when the link leads to another file", async () => {
    const replica = await replicate({ path: link, url, onError: () => undefined });
    const other = new DatabaseSync(join(folder, "data", "other.db"));
    other.exec("CREATE TABLE t (a)");
    other.close();
    rmSync(link);
    symlinkSync(join(folder, "data", "other.db"), link);
    await expect(replica.waitForUpload()).rejects.toMatchObject({
      code: "SOURCE_INVALID",
      message: expect.stringContaining(`${link} was replaced`) as string,
    });
  });

  it("is known under the link to status, verify and reset", async () => {
    insert();
    expect(await eddy(["replicate", link, url, "--once"])).toMatchObject({ status: 0 });
    const { stdout } = await eddy(["status", link, "--json"]);
    expect(JSON.parse(stdout)).toMatchObject([
      { database: link, status: "ok", local_txid: "0000000000000001" },
    ]);
    const verified = await eddy(["verify", url, "--db", link]);
    expect(verified.stdout).toContain(`${link} is equal, page for page`);
    const reset = await eddy(["reset", link]);
    expect(reset.stdout).toContain("removed");
    expect(existsSync(join(folder, "data", ".app.db-litestream", "ltx"))).toBe(false);
  });
});
