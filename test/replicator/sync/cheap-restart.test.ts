import {
  appendFileSync,
  closeSync,
  cpSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PageMemory } from "../../../replicator/sync/page-memory.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { CaptureFixture } from "../../support/capture-fixture.ts";
import { copyAsAfterCrash } from "../../support/crash-copy.ts";
import {
  createLiveDatabase,
  differingPages,
  imageNow,
  type LiveDatabase,
} from "../../support/live-database.ts";
import { expectRemembered } from "../../support/remembered-pages.ts";

let live: LiveDatabase;
beforeEach(() => void (live = createLiveDatabase()));
afterEach(() => live[Symbol.dispose]());

const insert = (bytes: number) => `INSERT INTO t (body) VALUES (randomblob(${bytes}))`;

async function expectEqual(fixture: CaptureFixture): Promise<void> {
  const { source } = fixture;
  expect(differingPages(await fixture.merged(), imageNow(source), source.pageSize)).toEqual([]);
}

/** Ships all of a new database, and ends. Nobody has the database open afterwards. */
async function shipOnce(path: string): Promise<{ replica: Replica; merged: Buffer }> {
  using fixture = await CaptureFixture.start(path);
  live.exec(insert(5 * live.pageSize));
  await fixture.captureAll();
  for (let id = 1; id < 30; id++) live.exec(insert((id % 5) * live.pageSize));
  await fixture.captureAll();
  await fixture.upload();
  live.app.close();
  return { replica: fixture.replica, merged: await fixture.merged() };
}

/** What an application does while no replicator runs; its last close deletes the log. */
function whileDown(path: string, sql: string): void {
  const app = new DatabaseSync(path);
  app.exec("PRAGMA wal_autocheckpoint = 0");
  app.exec(sql);
  app.close();
}

/** The numbers of the pages in which two images differ, and of those that only the second has. */
function changedPgnos(before: Buffer, after: Buffer, pageSize: number): number[] {
  const pgnos: number[] = [];
  for (let offset = 0; offset < after.length; offset += pageSize) {
    const [was, is] = [before, after].map((image) => image.subarray(offset, offset + pageSize));
    if (Buffer.compare(was, is) !== 0) pgnos.push(offset / pageSize + 1);
  }
  return pgnos;
}

describe("a restart after the log is gone", () => {
  it.each([512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536])(
    "ships exactly the pages that differ: pages of %i bytes",
    async (pageSize) => {
      live[Symbol.dispose]();
      live = createLiveDatabase({ pageSize });
      const { replica, merged } = await shipOnce(live.path);
      whileDown(live.path, `UPDATE t SET body = x'00' WHERE id = 7; ${insert(3 * pageSize)}`);
      using next = await CaptureFixture.start(live.path, { replica });
      const [file, ...others] = await next.captureAll();
      expect(others).toEqual([]);
      const after = imageNow(next.source);
      const { header, pages } = await next.decode(file.txid);
      expect(file).toMatchObject({ txid: 3n, imageReason: undefined });
      expect(header).toMatchObject({ minTxid: 3n, maxTxid: 3n, commit: after.length / pageSize });
      expect(pages.map(({ pgno }) => pgno)).toEqual(changedPgnos(merged, after, pageSize));
      expect(pages.length).toBeLessThan(20);
      expect(next.events).toEqual([
        {
          event: "compared",
          reason: "nothing shows that no commit was missed",
          pages: header.commit,
          differing: pages.length,
        },
      ]);
    },
  );

  it("takes no TXID when nothing differs, and goes on in the log", async () => {
    const { replica } = await shipOnce(live.path);
    using next = await CaptureFixture.start(live.path, { replica });
    expect(await next.captureAll()).toEqual([]);
    expect(next.capture.txid).toBe(2n);
    expect(next.events).toMatchObject([{ event: "compared", differing: 0 }]);
    expect(next.capture.snapshot()?.txid).toBe(2n);
    whileDown(live.path, insert(10));
    expect(await next.captureAll()).toMatchObject([{ txid: 3n, imageReason: undefined }]);
    expect(next.events).toHaveLength(1);
  });

  it("ships a database that became smaller, and one that then grows again", async () => {
    const { replica } = await shipOnce(live.path);
    whileDown(live.path, "DELETE FROM t WHERE id > 3; VACUUM");
    {
      using next = await CaptureFixture.start(live.path, { replica });
      const [smaller] = await next.captureAll();
      expect((await next.decode(smaller.txid)).pages.length).toBeLessThan(20);
      await next.upload();
    }
    whileDown(live.path, insert(9_000));
    using last = await CaptureFixture.start(live.path, { replica });
    await last.captureAll();
    expect(last.events).toMatchObject([{ event: "compared" }]);
    await expectShipped(last);
  });

  it("ships less than 10 MB of a database of 60 MB of which 1,000 pages changed", async () => {
    live[Symbol.dispose]();
    live = createLiveDatabase({ pageSize: 4096, cachePages: 2_000 });
    live.exec(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 15000)
       INSERT INTO t (body) SELECT randomblob(3900) FROM n`,
    );
    const { replica } = await shipOnce(live.path);
    expect(statSync(live.path).size).toBeGreaterThan(60_000_000);
    whileDown(live.path, "UPDATE t SET body = randomblob(3900) WHERE id % 15 = 0");
    using next = await CaptureFixture.start(live.path, { replica });
    const files = await next.captureAll();
    expect(files).toHaveLength(1);
    expect(files[0].pageCount).toBeGreaterThanOrEqual(1_000);
    expect(files[0].pageCount).toBeLessThan(1_010);
    expect(await next.staging.sizeOf(files[0].txid)).toBeLessThan(4_200_000);
  });

  it("ships what differs of a database that took the path meanwhile", async () => {
    const { replica } = await shipOnce(live.path);
    using other = createLiveDatabase();
    for (let i = 0; i < 9; i++) other.exec(insert(700));
    other.app.close();
    cpSync(other.path, live.path);
    using next = await CaptureFixture.start(live.path, { replica });
    await next.captureAll();
    expect(next.events).toMatchObject([{ event: "compared" }]);
    await expectShipped(next);
  });

  it("never ships the lock page", async () => {
    live[Symbol.dispose]();
    live = createLiveDatabase({ pageSize: 65_536 });
    live.app.close();
    // As large as it takes to have one, and empty behind the first pages.
    const pageCount = 2 ** 30 / 65_536 + 4;
    const file = openSync(live.path, "r+");
    writeSync(file, Uint8Array.of(0, 0, pageCount >>> 8, pageCount & 0xff), 0, 4, 28);
    ftruncateSync(file, pageCount * 65_536);
    closeSync(file);
    {
      using fixture = await CaptureFixture.start(live.path);
      expect(await fixture.captureAll()).toMatchObject([{ txid: 1n, pageCount: pageCount - 1 }]);
    }
    whileDown(live.path, `CREATE TABLE u (x); INSERT INTO u VALUES (zeroblob(70000))`);
    using next = await CaptureFixture.start(live.path);
    const [staged] = await next.captureAll();
    const { pages } = await next.decode(staged.txid);
    expect(pages.map(({ pgno }) => pgno).filter((pgno) => pgno > 1)).toEqual(
      Array.from({ length: pages.length - 1 }, (_, index) => pageCount + 1 + index),
    );
    const compared = pageCount + pages.length - 2;
    expect(next.events).toMatchObject([{ event: "compared", pages: compared }]);
  }, 120_000);

  it.each([
    ["the sums are gone", (folder: string) => rmSync(join(folder, "eddy-pages"))],
    ["the staging directory is gone", (folder: string) => rmSync(folder, { recursive: true })],
    [
      "the newest staged file is gone",
      (folder: string) => rmSync(join(folder, "ltx/0/0000000000000002-0000000000000002.ltx")),
    ],
  ])("ships the whole database when %s", async (_name, damage) => {
    const { replica } = await shipOnce(live.path);
    damage(join(live.folder, ".app.db-litestream"));
    whileDown(live.path, insert(10));
    using next = await CaptureFixture.start(live.path, { replica });
    expect(await next.captureAll()).toMatchObject([{ txid: 3n, imageReason: expect.any(String) }]);
    expect(next.events).toEqual([]);
    await expectShipped(next);
  });

  it("ships the whole database when the sums and the staged files are of another history", async () => {
    const { replica } = await shipOnce(live.path);
    const [ours, theirs] = [live, createLiveDatabase()];
    live = theirs;
    await shipOnce(theirs.path);
    const folders = [ours, theirs].map(({ folder }) => join(folder, ".app.db-litestream"));
    cpSync(folders[1], folders[0], { recursive: true });
    {
      using next = await CaptureFixture.start(ours.path, { replica });
      const files = await next.captureAll();
      expect(files).toMatchObject([{ txid: 3n, imageReason: expect.any(String) }]);
      await expectShipped(next);
    }
    ours[Symbol.dispose]();
  });
});

describe("a restart after a crash under load", () => {
  it.each([
    ["as it was", () => undefined],
    ["its last record cut off", (path: string) => truncateSync(path, statSync(path).size - 9)],
    ["its last records lost", (path: string) => truncateSync(path, 60 + 8 * 8 + 4)],
    ["rubbish at its end", (path: string) => appendFileSync(path, Buffer.alloc(700, 1))],
  ])("compares, with the file of sums %s", async (_name, damage) => {
    using fixture = await CaptureFixture.start(live.path);
    for (let round = 0; round < 12; round++) {
      live.exec(insert(200 * round));
      await fixture.captureAll();
    }
    await fixture.checkpoint();
    live.exec(insert(300));
    const { folder, path } = copyAsAfterCrash(fixture);
    try {
      damage(join(folder, ".app.db-litestream/eddy-pages"));
      // The log was begun anew, so that only the sums help.
      whileDown(path, `DELETE FROM t WHERE id = 3`);
      using next = await CaptureFixture.start(path);
      expect(await next.captureAll()).toMatchObject([{ txid: 13n, imageReason: undefined }]);
      expect(next.events).toMatchObject([{ event: "compared" }]);
      await expectEqual(next);
      live.exec(insert(20));
      whileDown(path, insert(20));
      await next.captureAll();
      await expectRemembered(next);
      // By itself: it does not take the staged files any more.
      const { txid } = next.capture;
      for (const older of (await next.staging.txids()).slice(0, -1))
        await next.staging.remove(older);
      expect((await PageMemory.load(next.staging, 512)).at(txid)).toBeDefined();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("goes on without the file of sums where it cannot be written", async () => {
    mkdirSync(join(live.folder, ".app.db-litestream/eddy-pages"), { recursive: true });
    using fixture = await CaptureFixture.start(live.path);
    for (let round = 0; round < 80; round++) {
      live.exec(insert(10));
      await fixture.captureAll();
    }
    await expectEqual(fixture);
    rmSync(join(fixture.staging.folder, "eddy-pages"), { recursive: true });
    for (let round = 0; round < 80; round++) {
      live.exec(insert(10));
      await fixture.captureAll();
    }
    // It is tried again, and may then be behind by what the staged files hold.
    expect(statSync(join(fixture.staging.folder, "eddy-pages")).isFile()).toBe(true);
    await expectRemembered(fixture);
  });

  it("appends a few bytes for a small commit, and keeps the file short", async () => {
    using fixture = await CaptureFixture.start(live.path);
    const path = join(fixture.staging.folder, "eddy-pages");
    live.exec(insert(10));
    await fixture.captureAll();
    const before = statSync(path);
    live.exec("PRAGMA user_version = 1");
    await fixture.captureAll();
    expect(statSync(path)).toMatchObject({ ino: before.ino, size: before.size + 32 + 12 + 8 });
    for (let round = 0; round < 40; round++) {
      live.exec(insert(200_000));
      await fixture.captureAll();
      live.exec("DELETE FROM t");
      await fixture.captureAll();
    }
    expect(statSync(path).size).toBeLessThan(2 * 64 * 1024 + 8 * 500);
    await expectRemembered(fixture);
  });
});

/** The store's files and those that are staged make the database. */
async function expectShipped(fixture: CaptureFixture): Promise<void> {
  await fixture.upload();
  const { source } = fixture;
  const image = await fixture.restored();
  expect(differingPages(image, imageNow(source), source.pageSize)).toEqual([]);
}
