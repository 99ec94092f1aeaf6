import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { contentOf } from "../../support/database-equality.ts";
import { FollowFixture, imagesOf } from "../../support/follow-fixture.ts";
import { imageAt } from "../../support/ltx-from-images.ts";

const KILLED_FOLLOWER = fileURLToPath(new URL("../../support/killed-follower.ts", import.meta.url));
const ROWS = (first: number, last: number) =>
  `WITH RECURSIVE n(i) AS (SELECT ${first} UNION ALL SELECT i + 1 FROM n WHERE i < ${last})
     INSERT INTO t SELECT i, hex(randomblob(150)) FROM n`;

/** Grows, changes without a new page 1, shrinks, grows again, and is packed anew. */
const IMAGES = imagesOf([
  `CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT); ${ROWS(1, 40)}`,
  ROWS(41, 60),
  "UPDATE t SET body = 'changed' WHERE id = 3",
  "DELETE FROM t WHERE id > 20; PRAGMA incremental_vacuum",
  ROWS(61, 90),
  "DELETE FROM t WHERE id % 2; VACUUM",
  "INSERT INTO t VALUES (1000, 'last')",
]);
const NEWEST = IMAGES.versions.length;

let fixture: FollowFixture;
beforeEach(() => (fixture = new FollowFixture(IMAGES)));
afterEach(() => fixture[Symbol.dispose]());

/** What the database held after a transaction. */
function expected(txid: number) {
  const path = join(fixture.folder, `expected-${txid}.db`);
  const image = imageAt(IMAGES, txid);
  // As a file with a rollback journal: no log is looked for beside it.
  image.fill(1, 18, 20);
  writeFileSync(path, image);
  return contentOf(path);
}

describe("followReplica", () => {
  it("takes up each transaction: grown, changed, shrunk and packed anew", async () => {
    fixture.put(0, 1);
    await fixture.restore();
    for (let txid = 2; txid <= NEWEST; txid++) {
      fixture.put(0, txid);
      await fixture.followTo(txid);
      expect(contentOf(fixture.path)).toEqual(expected(txid));
      const noted = readFileSync(`${fixture.path}-txid`, "utf8");
      expect(noted).toBe(`${txid.toString(16).padStart(16, "0")}\n`);
      const bytes = imageAt(IMAGES, txid).length;
      expect(readFileSync(fixture.path).length).toBe(bytes);
    }
    expect(existsSync(`${fixture.path}-journal`)).toBe(false);
  });

  it("takes up many transactions at once", async () => {
    fixture.put(0, 1);
    await fixture.restore();
    for (let txid = 2; txid <= NEWEST; txid++) fixture.put(0, txid);
    const events = await fixture.followTo(NEWEST);
    expect(events.filter(({ event }) => event === "applied")).toMatchObject([
      { files: NEWEST - 1 },
    ]);
    expect(contentOf(fixture.path)).toEqual(expected(NEWEST));
  });

  it("goes on where it ended, and writes only pages that differ", async () => {
    fixture.put(0, 1);
    await fixture.restore();
    fixture.put(0, 2);
    await fixture.followTo(2);
    fixture.put(0, 3);
    const events = await fixture.followTo(3);
    expect(events[0]).toMatchObject({ event: "following", txid: "0000000000000002" });
    // Page 1 for readers to notice, and the leaf that was changed.
    expect(events[1]).toMatchObject({ event: "applied", files: 1, pages: 2 });
    expect(contentOf(fixture.path)).toEqual(expected(3));
  });

  it.each([1, 2, 9])("bridges a hole at level 0 by level %i", async (level) => {
    fixture.put(0, 1);
    await fixture.restore();
    fixture.put(level, 1, 5);
    fixture.put(0, 6);
    await fixture.followTo(6);
    expect(contentOf(fixture.path)).toEqual(expected(6));
  });

  it("names a TXID that no file holds, and goes on when a snapshot bridges it", async () => {
    fixture.put(0, 1);
    await fixture.restore();
    fixture.put(0, 3);
    const events = await fixture.followUntil(
      (event) => event.event === "applied",
      (event) => {
        if (event.event === "waiting") fixture.put(9, 1, 4);
      },
    );
    expect(events).toMatchObject([
      { event: "following" },
      { event: "waiting", reason: "gap", message: expect.stringContaining("0000000000000002") },
      { event: "applied", txid: "0000000000000004" },
      { event: "stopped" },
    ]);
    expect(contentOf(fixture.path)).toEqual(expected(4));
  });

  it("refuses a replica that ends before the database", async () => {
    for (const txid of [1, 2, 3]) fixture.put(0, txid);
    await fixture.restore();
    for (const txid of [2, 3]) unlinkSync(fixture.fileOf(0, txid));
    await expect(fixture.followTo(4)).rejects.toMatchObject({
      code: "REPLICA_BEHIND",
      message: expect.stringContaining("ends at TXID 0000000000000001"),
    });
  });

  it("refuses a database that something else wrote to", async () => {
    fixture.put(0, 1);
    await fixture.restore();
    const database = new DatabaseSync(fixture.path);
    database.exec("DELETE FROM t WHERE id = 1");
    database.close();
    fixture.put(0, 2);
    await expect(fixture.followTo(2)).rejects.toMatchObject({
      code: "SOURCE_INVALID",
      message: expect.stringContaining("something else wrote to it"),
    });
  });

  it("changes nothing when a file is damaged, and names it", async () => {
    fixture.put(0, 1);
    await fixture.restore();
    fixture.put(0, 2);
    fixture.put(0, 3);
    const damaged = readFileSync(fixture.fileOf(0, 3));
    damaged[damaged.length - 1] ^= 1;
    writeFileSync(fixture.fileOf(0, 3), damaged);
    await expect(fixture.followTo(3)).rejects.toMatchObject({
      code: "CORRUPT_PAGE",
      message: expect.stringContaining("0000000000000003-0000000000000003.ltx"),
    });
    expect(contentOf(fixture.path)).toEqual(expected(1));
  });

  it("waits for a reader that stays, and for no time longer", async () => {
    fixture.put(0, 1);
    await fixture.restore();
    fixture.put(0, 2);
    // In this process: the locks of two connections still exclude each other.
    const reader = new DatabaseSync(fixture.path, { readOnly: true });
    reader.exec("BEGIN");
    const count = () => reader.prepare("SELECT count(*) AS n FROM t").get()?.["n"];
    expect(count()).toBe(40);
    const events = await fixture.followUntil(
      ({ event }) => event === "applied",
      ({ event }) => {
        if (event !== "waiting") return;
        expect(count()).toBe(40);
        reader.exec("COMMIT");
      },
    );
    expect(events).toMatchObject([
      { event: "following" },
      { event: "waiting", reason: "readers" },
      { event: "applied" },
      { event: "stopped" },
    ]);
    expect(count()).toBe(60);
    reader.close();
  });
});

describe("a follower that is killed", () => {
  it("at any of its calls of the file system leaves a whole state, and is followed on", async () => {
    const outcomes = { before: 0, after: 0, undone: 0 };
    fixture.put(0, 1);
    fixture.put(0, 2);
    await fixture.restore();
    // One change: a page of the middle, and the loss of the last ones.
    const saved = {
      database: readFileSync(fixture.path),
      txid: readFileSync(`${fixture.path}-txid`),
    };
    const [before, after] = [expected(2), expected(4)];
    for (let txid = 3; txid <= 4; txid++) fixture.put(0, txid);
    let isKilled = true;
    for (let call = 1; isKilled; call++) {
      expect(call).toBeLessThan(200);
      writeFileSync(fixture.path, saved.database);
      writeFileSync(`${fixture.path}-txid`, saved.txid);
      rmSync(`${fixture.path}-journal`, { force: true });
      const args = [KILLED_FOLLOWER, fixture.path, fixture.url, String(call)];
      const child = spawn(process.execPath, args, { stdio: "inherit" });
      const [, signal] = (await once(child, "exit")) as [number | null, string | null];
      isKilled = signal === "SIGKILL";
      const torn = readFileSync(fixture.path);
      const isTorn = !torn.equals(saved.database) && existsSync(`${fixture.path}-journal`);
      // A program that may write puts the pages back, as after a crash of any other.
      const database = new DatabaseSync(fixture.path);
      database.prepare("SELECT count(*) FROM t").get();
      database.close();
      const content = contentOf(fixture.path);
      expect(content.integrity).toBe("ok");
      const isAfter = content.tables["t"]?.length === after.tables["t"]?.length;
      expect(content).toEqual(isAfter ? after : before);
      if (isTorn) outcomes.undone++;
      outcomes[isAfter ? "after" : "before"]++;
      if (!isAfter) await fixture.followTo(4);
      expect(contentOf(fixture.path)).toEqual(after);
    }
    expect(outcomes.undone).toBeGreaterThan(5);
    expect(outcomes.after).toBeGreaterThan(0);
  }, 120_000);
});
