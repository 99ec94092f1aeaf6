import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openReplica } from "../../replicator/storage/open-store.ts";
import { copyReplica } from "../../tools/copy-replica.ts";
import { createSampleDatabase } from "../../tools/demo/sample-database.ts";
import { startLocalWorker, type LocalWorker } from "../../tools/local-worker.ts";
import { contentOf } from "../support/database-equality.ts";
import { freePort } from "../support/free-port.ts";
import { litestream } from "../support/litestream.ts";

const folder = mkdtempSync(join(tmpdir(), "eddy-interop-"));
const at = (name: string) => join(folder, name);

function eddy(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["replicator/cli.ts", ...args], {
    encoding: "utf8",
  });
  return { status, output: stdout + stderr };
}

/** Runs `sql` as an application would: in a connection that leaves nothing behind. */
function write(path: string, sql: string): void {
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
}

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("what Eddy replicated", () => {
  const path = at("ours.db");
  const replica = `file://${at("ours-replica")}`;
  const before = at("ours-before.db");

  beforeAll(() => {
    createSampleDatabase(path);
    expect(eddy("replicate", path, replica, "--once")).toMatchObject({ status: 0 });
    copyFileSync(path, before);
    write(
      path,
      "UPDATE orders SET note = 'seen' WHERE id % 7 = 0; DELETE FROM order_lines WHERE order_id = 9",
    );
    expect(eddy("replicate", path, replica, "--once")).toMatchObject({ status: 0 });
  });

  it("is restored by Litestream, every row equal", () => {
    const restored = at("theirs-of-ours.db");
    expect(litestream(["restore", "-o", restored, replica])).toMatchObject({ status: 0 });
    const content = contentOf(restored);
    expect(content.integrity).toBe("ok");
    expect(content).toEqual(contentOf(path));
  });

  it("is restored by Litestream as it was at its first transaction", () => {
    const restored = at("theirs-of-ours-1.db");
    const args = ["restore", "-txid", "0000000000000001", "-o", restored, replica];
    expect(litestream(args)).toMatchObject({ status: 0 });
    expect(contentOf(restored)).toEqual(contentOf(before));
  });

  it("is listed by Litestream as it was written", () => {
    const { status, output } = litestream(["ltx", replica]);
    expect(status).toBe(0);
    for (const name of readdirSync(at("ours-replica/ltx/0"))) {
      expect(output).toContain(name.slice(0, 16));
    }
  });

  it("is carried on by Litestream, and restored by us after that", () => {
    write(path, "UPDATE orders SET note = 'theirs' WHERE id = 1");
    expect(litestream(["replicate", "-once", path, replica])).toMatchObject({ status: 0 });
    write(path, "UPDATE orders SET note = 'ours again' WHERE id = 2");
    expect(eddy("replicate", path, replica, "--once")).toMatchObject({ status: 0 });
    const restored = at("after-hand-over.db");
    expect(eddy("restore", replica, "-o", restored)).toMatchObject({ status: 0 });
    expect(contentOf(restored)).toEqual(contentOf(path));
    const theirs = at("after-hand-over-theirs.db");
    expect(litestream(["restore", "-o", theirs, replica])).toMatchObject({ status: 0 });
    expect(contentOf(theirs)).toEqual(contentOf(path));
  });
});

describe("what Litestream replicated", () => {
  const path = at("theirs.db");
  const replica = `file://${at("theirs-replica")}`;
  const before = at("theirs-before.db");
  const token = "interop";
  let worker: LocalWorker;

  beforeAll(async () => {
    createSampleDatabase(path);
    expect(litestream(["replicate", "-once", path, replica])).toMatchObject({ status: 0 });
    copyFileSync(path, before);
    write(path, "UPDATE orders SET note = 'later' WHERE id <= 3");
    expect(litestream(["replicate", "-once", path, replica])).toMatchObject({ status: 0 });
    const databases = { theirs: "interop/theirs.db" };
    const port = await freePort();
    worker = await startLocalWorker({ folder: at("worker"), port, token, databases });
    const target = openReplica(worker.storeUrl(databases.theirs), {
      env: worker.storeEnv,
      writing: true,
    });
    await copyReplica(openReplica(replica, { env: {}, writing: false }), target);
  });
  afterAll(() => worker.stop());

  async function query(sql: string, ref?: string): Promise<unknown> {
    const url = new URL(
      `${worker.url}/v1/dbs/theirs/${ref === undefined ? "" : `at/${ref}/`}query`,
    );
    url.searchParams.set("sql", sql);
    const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    const body = (await response.json()) as { rows?: unknown };
    return body.rows ?? body;
  }

  it("is restored by us, every row equal", () => {
    const restored = at("ours-of-theirs.db");
    expect(eddy("restore", replica, "-o", restored)).toMatchObject({ status: 0 });
    const content = contentOf(restored);
    expect(content.integrity).toBe("ok");
    expect(content).toEqual(contentOf(path));
  });

  it("is restored by us to the bytes that Litestream restores", () => {
    for (const txid of ["0000000000000001", "0000000000000002"]) {
      const [ours, theirs] = [at(`ours-${txid}.db`), at(`theirs-${txid}.db`)];
      expect(eddy("restore", replica, "-o", ours, "--txid", txid)).toMatchObject({ status: 0 });
      const args = ["restore", "-txid", txid, "-o", theirs, replica];
      expect(litestream(args)).toMatchObject({ status: 0 });
      expect(spawnSync("cmp", [ours, theirs])).toMatchObject({ status: 0 });
    }
  });

  it("answers SQL at its latest transaction and at an earlier one", async () => {
    const sql = "SELECT count(*) FROM orders WHERE note = 'later'";
    expect(await query(sql)).toEqual([[3]]);
    expect(await query(sql, "0000000000000001")).toEqual([[0]]);
    const database = new DatabaseSync(before, { readOnly: true });
    const rows = database.prepare("SELECT * FROM revenue_by_city ORDER BY city");
    rows.setReturnArrays(true);
    const answer = await query("SELECT * FROM revenue_by_city ORDER BY city", "txid:1");
    expect(answer).toEqual(rows.all());
    database.close();
  });

  it("is downloaded from the Worker as the file that Litestream restores", async () => {
    const url = `${worker.url}/v1/dbs/theirs/snapshots/0000000000000002/theirs.db`;
    const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    expect(response.status).toBe(200);
    const bytes = Buffer.from(await response.arrayBuffer());
    const theirs = at("theirs-download.db");
    expect(litestream(["restore", "-o", theirs, replica])).toMatchObject({ status: 0 });
    expect(bytes.equals(readFileSync(theirs))).toBe(true);
  });
});
