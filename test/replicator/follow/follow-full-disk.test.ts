import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { FollowEvent } from "../../../replicator/follow/follow-events.ts";
import { contentOf } from "../../support/database-equality.ts";
import { FollowFixture, imagesOf } from "../../support/follow-fixture.ts";
import { imageAt } from "../../support/ltx-from-images.ts";
import { mountSmallDisk, type SmallDisk } from "../../support/small-disk.ts";

/** The second transaction changes pages and grows the database by a multiple of them. */
const IMAGES = imagesOf([
  `CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT);
   WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
     INSERT INTO t SELECT i, hex(randomblob(2000)) FROM n`,
  `UPDATE t SET body = 'changed' || body WHERE id % 2;
   WITH RECURSIVE n(i) AS (SELECT 41 UNION ALL SELECT i + 1 FROM n WHERE i < 140)
     INSERT INTO t SELECT i, hex(randomblob(2000)) FROM n`,
]);
const COUNT = "SELECT count(*) || ' ' || count(iif(body LIKE 'changed%', 1, NULL)) AS seen FROM t";

let disk: SmallDisk;
let fixture: FollowFixture;
beforeEach(async () => {
  disk = mountSmallDisk(4);
  fixture = new FollowFixture(IMAGES, disk.folder);
  fixture.put(0, 1);
  await fixture.restore();
  fixture.put(0, 2);
});
afterEach(() => {
  fixture[Symbol.dispose]();
  disk[Symbol.dispose]();
});

/** What another program reads: in this process, its locks would be the follower's. */
function read(): string {
  const script = `
    const { DatabaseSync } = require("node:sqlite");
    const database = new DatabaseSync(process.argv[1]);
    console.log(database.prepare(process.argv[2]).get().seen, database.prepare("PRAGMA integrity_check").get().integrity_check);`;
  const args = ["-e", script, fixture.path, COUNT];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  return stdout.trim() || stderr;
}

/** Follows on a disk with so little room until it waits for more; then there is enough. */
async function followThroughFullDisk(leftBytes: number, isRead: boolean): Promise<FollowEvent[]> {
  disk.fill(leftBytes);
  return await fixture.followUntil(
    ({ event }) => event === "applied",
    (event) => {
      if (event.event !== "waiting") return;
      if (isRead) expect(read()).toBe("40 0 ok");
      disk.free();
    },
  );
}

describe("followReplica on a full disk", () => {
  it("says so, and goes on when there is room", async () => {
    const events = await followThroughFullDisk(0, true);
    expect(events.map(({ event }) => event)).toEqual([
      "following",
      "waiting",
      "applied",
      "stopped",
    ]);
    expect(events[1]).toMatchObject({
      reason: "disk",
      message: expect.stringContaining("the disk is full") as string,
    });
    expect(contentOf(fixture.path).integrity).toBe("ok");
    expect(read()).toBe("140 20 ok");
    expect(readdirSync(disk.folder).toSorted()).toEqual(["followed.db", "followed.db-txid"]);
  });

  it.each([
    ["", false],
    [", unless a reader was faster", true],
  ])(
    "puts back what it had overwritten when the room ends amid a change%s, and makes it once more",
    async (_, isRead) => {
      const beforeBytes = statSync(fixture.path).size;
      const afterBytes = imageAt(IMAGES, 2).length;
      // Enough for the new pages beside the database and for the journal, not for the growth.
      const leftBytes = afterBytes + beforeBytes + 32 * 1024;
      const events = await followThroughFullDisk(leftBytes, isRead);
      expect(events).toContainEqual(
        expect.objectContaining({
          event: "waiting",
          reason: "disk",
          message: `cannot write to ${fixture.path}: the disk is full`,
        }),
      );
      expect(read()).toBe("140 20 ok");
      expect(statSync(fixture.path).size).toBe(afterBytes);
      expect(existsSync(`${fixture.path}-journal`)).toBe(false);
    },
  );
});
