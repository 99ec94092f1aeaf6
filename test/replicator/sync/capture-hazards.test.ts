import { DatabaseSync } from "node:sqlite";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CaptureFixture } from "../../support/capture-fixture.ts";
import {
  createLiveDatabase,
  differingPages,
  imageNow,
  type LiveDatabase,
} from "../../support/live-database.ts";
import { expectRemembered } from "../../support/remembered-pages.ts";
import { appendUnacknowledgedCommit } from "../../support/wal-images.ts";

const insert = (bytes: number) => `INSERT INTO t (body) VALUES (randomblob(${bytes}))`;

async function expectEqual(fixture: CaptureFixture): Promise<void> {
  const { source } = fixture;
  expect(differingPages(await fixture.merged(), imageNow(source), source.pageSize)).toEqual([]);
}

/** A database of 20 pages, captured, with a log that can take more. */
async function captured(live: LiveDatabase): Promise<CaptureFixture> {
  const fixture = await CaptureFixture.start(live.path);
  live.exec(insert(9_000));
  await fixture.captureAll();
  return fixture;
}

describe("WalCapture, when the log is begun anew while it is read", () => {
  it("throws away what it read, and reads the whole database again", async () => {
    using live = createLiveDatabase();
    const { replica } = await (async () => {
      using first = await captured(live);
      await first.upload();
      return first;
    })();
    live.exec(`${insert(3_000)}; PRAGMA wal_checkpoint(PASSIVE)`);
    // All of the log is in the database file, so the next commit is written over it: in this moment.
    let calls = 0;
    const now = () => {
      if (calls++ === 0) live.exec(insert(9_000));
      return 1_700_000_000_000;
    };
    using second = await CaptureFixture.start(live.path, { replica, now });
    await second.captureAll();
    expect(calls).toBe(2);
    const newest = (await second.staging.txids()).at(-1)!;
    expect(newest).toBe(2n);
    expect(second.events).toMatchObject([{ event: "compared" }]);
    await expectEqual(second);
  });
});

/** Puts another database, with a log of its own, in the place of the live one. */
function replace(live: LiveDatabase): DatabaseSync {
  const path = `${live.path}.new`;
  const other = new DatabaseSync(path);
  other.exec("PRAGMA page_size = 512; PRAGMA journal_mode = wal; CREATE TABLE other (a)");
  renameSync(path, live.path);
  renameSync(`${path}-wal`, `${live.path}-wal`);
  return other;
}

describe("WalCapture, when the database is replaced while it is read", () => {
  it.each([
    ["what changed", insert(900)],
    ["the whole database", undefined],
  ])("stages nothing of the two together: %s", async (_name, sql) => {
    using live = createLiveDatabase();
    let other: DatabaseSync | undefined;
    let isNow = false;
    const now = () => {
      if (isNow) other ??= replace(live);
      return 1_700_000_000_000;
    };
    using fixture = await CaptureFixture.start(live.path, { now });
    live.exec(insert(3_000));
    if (sql) await fixture.captureAll();
    const before = await fixture.staging.txids();
    live.exec(sql ?? insert(900));
    isNow = true;
    await expect(fixture.captureAll()).rejects.toMatchObject({ code: "SOURCE_INVALID" });
    expect(await fixture.staging.txids()).toEqual(before);
    other?.close();
  });

  it("takes no other database's log for its own first one", async () => {
    using live = createLiveDatabase();
    live.exec(`${insert(3_000)}; PRAGMA wal_checkpoint(TRUNCATE)`);
    using fixture = await CaptureFixture.start(live.path);
    await fixture.captureAll();
    expect(fixture.capture.position).toBe("no-log");
    const before = await fixture.staging.txids();
    const other = replace(live);
    expect(() => fixture.capture.hold()).toThrow("was replaced or removed");
    await expect(fixture.captureAll()).rejects.toMatchObject({ code: "SOURCE_INVALID" });
    expect(await fixture.staging.txids()).toEqual(before);
    other.close();
  });
});

describe("WalCapture, when an application dies before its commit counts", () => {
  it("compares the whole database once the next transaction is written over it", async () => {
    using live = createLiveDatabase();
    using fixture = await captured(live);
    appendUnacknowledgedCommit(fixture.source.walPath, [4, 5, 6]);
    expect(await fixture.captureAll()).toHaveLength(1);
    // One frame: those behind it are still the dead one's.
    live.exec("UPDATE t SET body = x'01' WHERE id = 99; PRAGMA user_version = 1");
    expect(await fixture.captureAll()).toHaveLength(1);
    expect(fixture.events).toMatchObject([
      { event: "compared", reason: expect.stringContaining("taken back") },
    ]);
    await expectEqual(fixture);
    live.exec(insert(5_000));
    expect(await fixture.captureAll()).toMatchObject([{ imageReason: undefined }]);
    await expectEqual(fixture);
  });

  it("compares the whole database when the log is begun anew instead", async () => {
    using live = createLiveDatabase();
    using fixture = await captured(live);
    appendUnacknowledgedCommit(fixture.source.walPath, [4, 5, 6]);
    await fixture.checkpoint();
    live.exec("PRAGMA user_version = 1");
    expect(await fixture.captureAll()).toHaveLength(1);
    expect(fixture.events).toMatchObject([{ event: "compared" }]);
    await expectEqual(fixture);
  });

  it("takes no ordinary commit for one, whoever checkpoints", async () => {
    using live = createLiveDatabase();
    using fixture = await captured(live);
    for (let round = 0; round < 8; round++) {
      live.exec(insert(300 * round));
      live.exec("PRAGMA wal_checkpoint(PASSIVE)");
      live.exec("PRAGMA user_version = 3");
      if (round % 3 === 1) await fixture.checkpoint();
      for (const { imageReason } of await fixture.captureAll()) expect(imageReason).toBeUndefined();
    }
    await expectEqual(fixture);
  });
});

describe("WalCapture, when files were held", () => {
  it("remembers their pages as it does any others", async () => {
    using live = createLiveDatabase();
    using fixture = await captured(live);
    for (let round = 0; round < 3; round++) {
      live.exec(insert(3_000));
      const held = fixture.capture.hold();
      if (typeof held === "object") await held.finish();
    }
    expect(fixture.capture.txid).toBe(4n);
    appendUnacknowledgedCommit(fixture.source.walPath, [4, 5, 6]);
    await fixture.captureAll();
    live.exec("PRAGMA user_version = 1");
    const [compared] = await fixture.captureAll();
    expect(fixture.events).toMatchObject([{ event: "compared" }]);
    expect(compared?.pageCount).toBeLessThan(6);
    await expectEqual(fixture);
  });
});

describe("WalCapture, when a held file cannot be staged", () => {
  it("compares the whole database, and ships what is in no file", async () => {
    using live = createLiveDatabase();
    using fixture = await captured(live);
    live.exec(insert(3_000));
    const held = fixture.capture.hold();
    expect(held).toMatchObject({ finish: expect.any(Function) });
    const level = fixture.staging.workFolder;
    renameSync(level, `${level}-away`);
    writeFileSync(level, "");
    await expect(typeof held === "object" && held.finish()).rejects.toMatchObject({
      code: "LOCAL_FILE",
    });
    rmSync(level);
    renameSync(`${level}-away`, level);
    expect(await fixture.captureAll()).toMatchObject([{ txid: 2n }]);
    expect(fixture.events).toMatchObject([{ event: "compared" }]);
    await expectEqual(fixture);
    await expectRemembered(fixture);
  });
});
