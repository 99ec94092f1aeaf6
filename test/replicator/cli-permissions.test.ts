import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDatabase } from "../support/cli-fixture.ts";
import { eddyAsNobody } from "../support/eddy-cli.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "eddy-denied-"));
  path = join(folder, "app.db");
  createDatabase(path);
  chmodSync(folder, 0o777);
  chmodSync(path, 0o666);
});
afterEach(() => {
  chmodSync(folder, 0o777);
  rmSync(folder, { recursive: true, force: true });
});

/** As the first run leaves it, by hand and as root. */
function leaveStaging(staging: string): void {
  mkdirSync(join(staging, "ltx", "0"), { recursive: true });
  for (const name of ["eddy.lock", "eddy.pid"]) {
    writeFileSync(join(staging, name), "", { mode: 0o444 });
  }
}

/** Ships what is there, as a user without rights of its own. */
function replicate(url = `file://${join(folder, "replica")}`) {
  return eddyAsNobody(["replicate", path, url, "--once"]);
}

describe("eddy replicate, as a user who may not", () => {
  it("works where nothing is denied", async () => {
    expect(await replicate()).toMatchObject({ status: 0 });
  });

  it.each([
    [
      "a database that may not be written",
      () => chmodSync(path, 0o444),
      /cannot open .*app\.db: permission denied; .*must be able to write the database/,
    ],
    [
      "a database that may not be read",
      () => chmodSync(path, 0o000),
      /cannot open .*app\.db: permission denied/,
    ],
    [
      "a folder that takes no files, so neither log nor staging directory",
      () => chmodSync(folder, 0o555),
      /cannot open .*app\.db: permission denied; .*and its folder/,
    ],
    [
      "a file system without shared memory",
      () => mkdirSync(`${path}-shm`),
      /app\.db cannot be read in WAL mode .*shared memory and locks/,
    ],
    [
      "a staging directory that takes no files",
      () => mkdirSync(join(folder, ".app.db-litestream"), { mode: 0o555 }),
      /cannot make the staging directory .*\.app\.db-litestream: the folder's permissions/,
    ],
    [
      "a staging directory in which another user ran the replicator",
      () => leaveStaging(join(folder, ".app.db-litestream")),
      /cannot lock the staging directory .*\.app\.db-litestream: .*another user/,
    ],
    [
      "a lock that is another user's, in a staging directory that is everybody's",
      () => {
        leaveStaging(join(folder, ".app.db-litestream"));
        rmSync(join(folder, ".app.db-litestream", "eddy.pid"));
        for (const below of ["", "ltx", "ltx/0"])
          chmodSync(join(folder, ".app.db-litestream", below), 0o777);
      },
      /cannot lock the staging directory .*\.app\.db-litestream: .*another user/,
    ],
    [
      "a file where the staging directory belongs",
      () => writeFileSync(join(folder, ".app.db-litestream"), ""),
      /cannot make the staging directory .*a part of the path is a file/,
    ],
    [
      "a replica's folder that takes no files",
      () => mkdirSync(join(folder, "replica"), { mode: 0o555 }),
      /cannot write .*replica/,
    ],
  ])(
    "refuses %s with a sentence, and leaves the database as it was",
    async (_name, deny, sentence) => {
      const before = readFileSync(path);
      deny();
      const { status, stderr } = await replicate();
      expect(stderr).toMatch(sentence);
      expect(stderr).not.toContain("    at ");
      expect(status).toBe(1);
      chmodSync(folder, 0o777);
      chmodSync(path, 0o666);
      expect(readFileSync(path).equals(before)).toBe(true);
      rmSync(`${path}-shm`, { recursive: true, force: true });
      const database = new DatabaseSync(path);
      expect(database.prepare("SELECT count(*) AS rows FROM t").get()).toEqual({ rows: 2 });
      database.close();
    },
  );
});
