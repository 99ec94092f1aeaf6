/** What either side wrote is restored by the other: from a folder, and from an S3 server that is not ours. */
import { mkdtempSync, rmSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { openReplica } from "../../replicator/storage/open-store.ts";
import { formatTxid } from "../../shared/ltx/txid.ts";
import { openSnapshot } from "../../shared/replica/snapshot.ts";
import { contentOf } from "../support/database-equality.ts";
import { eddy } from "../support/eddy-cli.ts";
import { litestream } from "../support/litestream.ts";
import {
  createOrders,
  expectSameDatabase,
  readAsWorker,
  wholeFile,
  write,
} from "../support/same-database.ts";
import { seaweedUrl } from "../support/seaweedfs.ts";
import { txid } from "../support/replica-fixtures.ts";

const folder = mkdtempSync(join(tmpdir(), "eddy-both-stores-"));
const seaweed = inject("seaweedfs");
const { env } = seaweed;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const CHANGES = [
  "UPDATE orders SET note = 'changed' WHERE id % 5 = 0",
  "DELETE FROM orders WHERE id % 3 = 0; VACUUM",
  "INSERT INTO orders (note, body) SELECT note, hex(randomblob(50)) FROM orders LIMIT 500",
];

/** Until the clock shows another second. */
const secondTurned = () => sleep(1000 - (Date.now() % 1000));

/**
 * Makes a database, has `replicate` ship it and every change, and keeps what it was after each. The first
 * two states and the last lie in different seconds: of an S3 replica, Litestream takes the bounds within which a moment
 * may lie from the listing, which knows only whole ones, and refuses every moment of a history that began and ended in one.
 */
async function history(path: string, replicate: () => Promise<void>): Promise<Buffer[]> {
  createOrders(path);
  const states: Buffer[] = [];
  for (const sql of [undefined, ...CHANGES]) {
    if (sql !== undefined) write(path, sql);
    await replicate();
    states.push(wholeFile(path));
    if (states.length === 2) await secondTurned();
  }
  return states;
}

describe.each([
  { store: "a folder", urlOf: (name: string) => `file://${join(folder, `replica-${name}`)}` },
  { store: "SeaweedFS", urlOf: (name: string) => seaweedUrl(seaweed, `both/${name}`) },
])("in $store, what Eddy wrote", ({ store, urlOf }) => {
  const url = urlOf("ours");
  const at = (name: string) => join(folder, `${store.slice(-6)}-ours-${name}`);
  const path = at("app.db");
  let states: Buffer[];

  beforeAll(async () => {
    states = await history(path, async () => {
      expect(await eddy(["replicate", path, url, "--once"], env)).toMatchObject({ status: 0 });
    });
  });

  const restore = (output: string, ...target: string[]) =>
    expect(litestream(["restore", ...target, "-o", output, url], env)).toMatchObject({ status: 0 });

  it("is restored by Litestream, page for page", () => {
    restore(at("latest.db"));
    expectSameDatabase(at("latest.db"), path);
  });

  it("is restored by Litestream as of every transaction", async () => {
    const files = JSON.parse((await eddy(["ltx", url, "--json"], env)).stdout) as unknown[];
    expect(files.length).toBeGreaterThanOrEqual(CHANGES.length + 1);
    for (let n = 1; n <= files.length; n++) {
      const hex = formatTxid(txid(n));
      restore(at(`txid-${n}.db`), "-txid", hex);
      const ours = await readAsWorker(openReplica(url, { env, writing: false }), {
        kind: "txid",
        txid: txid(n),
      });
      expect(ours.equals(readFileSync(at(`txid-${n}.db`)))).toBe(true);
    }
  });

  it("is restored by Litestream as of a moment", async () => {
    const replica = openReplica(url, { env, writing: false });
    const second = await openSnapshot(replica, { kind: "txid", txid: txid(2) });
    restore(at("then.db"), "-timestamp", new Date(second.timestampMs + 1).toISOString());
    const then = at("then-expected.db");
    expect(
      await eddy(["restore", url, "-o", then, "--txid", formatTxid(txid(2))], env),
    ).toMatchObject({ status: 0 });
    expect(contentOf(at("then.db"))).toEqual(contentOf(then));
    expect(states[1]?.length).toBe(readFileSync(then).length);
  });

  it("is listed by Litestream as it was written", async () => {
    const { status, output } = litestream(["ltx", url], env);
    expect(status).toBe(0);
    const rows = JSON.parse((await eddy(["ltx", url, "--json"], env)).stdout) as {
      min_txid: string;
      size: number;
    }[];
    for (const { min_txid, size } of rows) {
      expect(output).toMatch(new RegExp(`^0 +${min_txid} +${min_txid} +${size} `, "m"));
    }
  });

  it("is carried on by Litestream, then by Eddy, TXID after TXID, and restored by both", async () => {
    const newest = async () => {
      const { stdout } = await eddy(["ltx", url, "--json"], env);
      return (JSON.parse(stdout) as { max_txid: string }[]).map(({ max_txid }) => max_txid);
    };
    for (const side of ["theirs", "ours", "theirs", "ours"]) {
      write(path, `UPDATE orders SET note = '${side}' WHERE id % 7 = 1`);
      const result =
        side === "ours"
          ? await eddy(["replicate", path, url, "--once"], env)
          : litestream(["replicate", "-once", path, url], env);
      expect(result).toMatchObject({ status: 0 });
    }
    const txids = await newest();
    expect(txids).toEqual(txids.map((_, index) => formatTxid(txid(index + 1))));
    restore(at("handed-over-theirs.db"));
    expectSameDatabase(at("handed-over-theirs.db"), path);
    const ours = at("handed-over-ours.db");
    expect(await eddy(["restore", url, "-o", ours], env)).toMatchObject({ status: 0 });
    expectSameDatabase(ours, path);
  });
});

describe.each([
  { store: "a folder", urlOf: (name: string) => `file://${join(folder, `replica-${name}`)}` },
  { store: "SeaweedFS", urlOf: (name: string) => seaweedUrl(seaweed, `both/${name}`) },
])("in $store, what Litestream wrote", ({ store, urlOf }) => {
  const url = urlOf("theirs");
  const at = (name: string) => join(folder, `${store.slice(-6)}-theirs-${name}`);
  const path = at("app.db");

  beforeAll(async () => {
    await history(path, async () => {
      expect(litestream(["replicate", "-once", path, url], env)).toMatchObject({ status: 0 });
    });
  });

  it("is restored by us, page for page", async () => {
    const restored = at("latest.db");
    expect(await eddy(["restore", url, "-o", restored], env)).toMatchObject({ status: 0 });
    expectSameDatabase(restored, path);
  });

  it("is restored by us, and read as the Worker reads it, to Litestream's bytes as of every transaction", async () => {
    const listed = await eddy(["ltx", url, "--json"], env);
    const files = JSON.parse(listed.stdout) as { max_txid: string }[];
    expect(files.length).toBeGreaterThanOrEqual(CHANGES.length + 1);
    for (const { max_txid } of files) {
      const theirs = at(`theirs-${max_txid}.db`);
      const args = ["restore", "-txid", max_txid, "-o", theirs, url];
      expect(litestream(args, env)).toMatchObject({ status: 0 });
      const ours = at(`ours-${max_txid}.db`);
      expect(await eddy(["restore", url, "-o", ours, "--txid", max_txid], env)).toMatchObject({
        status: 0,
      });
      expect(readFileSync(ours).equals(readFileSync(theirs))).toBe(true);
      const replica = openReplica(url, { env, writing: false });
      const target = { kind: "txid", txid: txid(Number(`0x${max_txid}`)) } as const;
      expect((await readAsWorker(replica, target)).equals(readFileSync(theirs))).toBe(true);
    }
  });
});
