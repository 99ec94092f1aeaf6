/** A replica of Litestream's with all its levels, snapshots among them, and one that lost an object. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { openReplica } from "../../replicator/storage/open-store.ts";
import { formatTxid } from "../../shared/ltx/txid.ts";
import { listAllFiles } from "../../shared/replica/load-plan.ts";
import type { LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { eddy } from "../support/eddy-cli.ts";
import { litestream, startLitestream } from "../support/litestream.ts";
import { expectSameDatabase, readAsWorker } from "../support/same-database.ts";
import { seaweedUrl } from "../support/seaweedfs.ts";

const folder = mkdtempSync(join(tmpdir(), "eddy-their-levels-"));
const at = (name: string) => join(folder, name);
const seaweed = inject("seaweedfs");
const { env } = seaweed;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Levels within seconds: two files of level 3 and two snapshots are what the test waits for. */
function isComplete(files: readonly LtxFileInfo[]): boolean {
  const count = (level: number) => files.filter((file) => file.level === level).length;
  return count(1) >= 4 && count(2) >= 3 && count(3) >= 2 && count(9) >= 2;
}

/** Writes without a pause while Litestream replicates, until all levels are there. */
async function replicateWithLevels(path: string, url: string, replica: Replica): Promise<void> {
  const config = `${path}.json`;
  const interval = "50ms";
  writeFileSync(
    config,
    JSON.stringify({
      levels: [{ interval: "1s" }, { interval: "2s" }, { interval: "3s" }],
      snapshot: { interval: "3s", retention: "1h" },
      dbs: [{ path, "monitor-interval": interval, replica: { url, "sync-interval": interval } }],
    }),
  );
  const app = new DatabaseSync(path, { timeout: 10_000 });
  app.exec(
    `PRAGMA auto_vacuum = 2; PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT);
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
       INSERT INTO t SELECT i, hex(randomblob(100)) FROM n`,
  );
  {
    await using _running = await startLitestream(["replicate", "-config", config], { env });
    for (let round = 0; !isComplete(await listAllFiles(replica)); round++) {
      app.exec(`UPDATE t SET body = hex(randomblob(100)) WHERE id % 97 = ${round % 97}`);
      if (round % 20 === 7) app.exec(`DELETE FROM t WHERE id > 1800 AND id % 11 = ${round % 11}`);
      if (round % 20 === 8) app.exec("PRAGMA incremental_vacuum(3)");
      await setImmediate();
    }
  }
  app.close();
}

describe.each([
  { store: "a folder", url: `file://${at("replica")}` },
  { store: "SeaweedFS", url: seaweedUrl(seaweed, "levels/theirs") },
])("all levels of Litestream's in $store", ({ store, url }) => {
  const path = at(`${store.slice(-6)}.db`);
  const replica = openReplica(url, { env, writing: true });
  let files: LtxFileInfo[];

  beforeAll(async () => {
    await replicateWithLevels(path, url, replica);
    files = await listAllFiles(replica);
  });

  it("are restored by us, page for page", async () => {
    const restored = at(`${store.slice(-6)}-restored.db`);
    expect(await eddy(["restore", url, "-o", restored], env)).toMatchObject({ status: 0 });
    expectSameDatabase(restored, path);
  });

  it("are restored by us, and read as the Worker reads, at the ends of files of each level, to Litestream's bytes", async () => {
    const ends = new Set(
      [0, 1, 2, 3, 9].map((level) => files.filter((file) => file.level === level).at(-2)?.maxTxid),
    );
    for (const txid of ends) {
      if (txid === undefined) continue;
      const ours = at(`${store.slice(-6)}-ours-${txid}.db`);
      const theirs = at(`${store.slice(-6)}-theirs-${txid}.db`);
      const hex = formatTxid(txid);
      expect(litestream(["restore", "-txid", hex, "-o", theirs, url], env)).toMatchObject({
        status: 0,
      });
      expect(await eddy(["restore", url, "-o", ours, "--txid", hex], env)).toMatchObject({
        status: 0,
      });
      const expected = readFileSync(theirs);
      expect(readFileSync(ours).equals(expected)).toBe(true);
      expect((await readAsWorker(replica, { kind: "txid", txid })).equals(expected)).toBe(true);
    }
  });

  it("suffice without the files of level 0 that level 1 holds", async () => {
    const merged = files.findLast(({ level }) => level === 1)?.maxTxid ?? 0n;
    const held = files.filter(({ level, maxTxid }) => level === 0 && maxTxid <= merged);
    expect(held.length).toBeGreaterThan(10);
    await replica.store.delete(held.map(({ key }) => key));
    const restored = at(`${store.slice(-6)}-without.db`);
    expect(await eddy(["restore", url, "-o", restored], env)).toMatchObject({ status: 0 });
    expectSameDatabase(restored, path);
  });
});

describe("a replica that lost one object", () => {
  it("has its gap named by both, and is restored up to it", async () => {
    const path = at("gap.db");
    const url = `file://${at("gap-replica")}`;
    const app = new DatabaseSync(path);
    app.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY)");
    for (let row = 1; row <= 4; row++) {
      app.exec(`INSERT INTO t VALUES (${row})`);
      expect(await eddy(["replicate", path, url, "--once"])).toMatchObject({ status: 0 });
    }
    app.close();
    rmSync(at("gap-replica/ltx/0/0000000000000003-0000000000000003.ltx"));
    const ours = await eddy(["restore", url, "-o", at("gap-ours.db")]);
    expect(ours.status).toBe(3);
    expect(ours.stderr).toContain(
      "TXID 0000000000000003 is in no LTX file: the files reach 0000000000000002 and go on with 0000000000000004",
    );
    const theirs = litestream(["restore", "-o", at("gap-theirs.db"), url]);
    expect(theirs.status).toBe(1);
    expect(theirs.output).toContain(
      "have up to 0000000000000002 but next file starts at 0000000000000004",
    );
    const before = ["restore", url, "-o", at("before.db"), "--txid", "0000000000000002"];
    expect(await eddy(before)).toMatchObject({ status: 0 });
  });
});
