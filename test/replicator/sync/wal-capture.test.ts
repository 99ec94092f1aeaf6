import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CaptureFixture } from "../../support/capture-fixture.ts";
import { createLiveDatabase, differingPages, imageNow } from "../../support/live-database.ts";
import { frameOffsets } from "../../support/wal-images.ts";

/** Bytes that compress to nothing less. */
const insert = (bytes: number) => `INSERT INTO t (body) VALUES (randomblob(${bytes}))`;

async function expectEqual(fixture: CaptureFixture): Promise<void> {
  const { source } = fixture;
  expect(differingPages(await fixture.merged(), imageNow(source), source.pageSize)).toEqual([]);
}

function pgnosInLog(path: string): Set<number> {
  const bytes = readFileSync(`${path}-wal`);
  return new Set(
    frameOffsets({ bytes, pageSize: 512 }).map((offset) => bytes.readUInt32BE(offset)),
  );
}

describe("WalCapture", () => {
  it.each([512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536])(
    "stages files of one TXID each that together make the database: pages of %i bytes",
    async (pageSize) => {
      using live = createLiveDatabase({ pageSize });
      using fixture = await CaptureFixture.start(live.path);
      for (let round = 0; round < 6; round++) {
        live.exec(insert(pageSize * 3));
        live.exec(`UPDATE t SET body = zeroblob(${round * 100}) WHERE id = ${round}`);
        const files = await fixture.captureAll();
        expect(files.map(({ txid }) => txid)).toEqual([BigInt(round + 1)]);
      }
      expect(await fixture.staging.txids()).toEqual([1n, 2n, 3n, 4n, 5n, 6n]);
      for (const txid of await fixture.staging.txids()) {
        const { header, sizeBytes } = await fixture.decode(txid);
        expect(header).toMatchObject({ minTxid: txid, maxTxid: txid, flags: 2, pageSize });
        expect(sizeBytes).toBe(await fixture.staging.sizeOf(txid));
      }
      expect((await fixture.merged()).equals(imageNow(fixture.source))).toBe(true);
      await expectEqual(fixture);
    },
  );

  it("says where in the log each file ends, so that Litestream can go on from there", async () => {
    using live = createLiveDatabase();
    using fixture = await CaptureFixture.start(live.path);
    const image = (await fixture.captureAll())[0];
    live.exec(insert(10));
    const [file] = await fixture.captureAll();
    const first = (await fixture.decode(image.txid)).header;
    const second = (await fixture.decode(file.txid)).header;
    expect(first).toMatchObject({
      walOffset: 32,
      walSize: fixture.capture.walBytes - 32 - second.walSize,
    });
    expect(second.walOffset).toBe(first.walOffset + first.walSize);
    expect(second.walSize % (24 + 512)).toBe(0);
    expect(second).toMatchObject({ walSalt1: first.walSalt1, walSalt2: first.walSalt2 });
    expect(image.imageReason).toContain("nothing shows");
    expect(file.imageReason).toBeUndefined();
  });

  it("stages nothing while nothing is committed", async () => {
    using live = createLiveDatabase({ cachePages: 3 });
    using fixture = await CaptureFixture.start(live.path);
    await fixture.captureAll();
    const { walBytes } = fixture.capture;
    expect(await fixture.captureAll()).toEqual([]);
    live.exec("SELECT count(*) FROM t; BEGIN; COMMIT");
    live.exec(`BEGIN; ${insert(20_000)}`);
    expect(await fixture.captureAll()).toEqual([]);
    live.exec("ROLLBACK");
    expect(await fixture.captureAll()).toEqual([]);
    expect(fixture.capture.walBytes).toBe(walBytes);
  });

  it("includes pages that the database grew by without writing them, as zeros beyond the file's end", async () => {
    using live = createLiveDatabase({ autoVacuum: 2 });
    using fixture = await CaptureFixture.start(live.path);
    live.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    await fixture.captureAll();
    const before = Number(live.value("PRAGMA page_count"));
    expect(fixture.source.pageCountOnDisk()).toBe(before);
    // The second table's root moves to the first one's place, and the page that it leaves is never written.
    live.exec(
      `BEGIN; CREATE TABLE a (x); INSERT INTO a VALUES (randomblob(3000)); CREATE TABLE b (x);
       DROP TABLE a; COMMIT`,
    );
    const [file] = await fixture.captureAll();
    const { header, pages } = await fixture.decode(file.txid);
    // Otherwise this test would show nothing.
    const inLog = pgnosInLog(live.path);
    const grown = Array.from({ length: header.commit - before }, (_, i) => before + 1 + i);
    const holes = grown.filter((pgno) => !inLog.has(pgno));
    expect(holes).not.toEqual([]);
    for (const pgno of holes) {
      expect(pages.find((page) => page.pgno === pgno)?.data).toEqual(new Uint8Array(512));
    }
    await expectEqual(fixture);
  });

  it.each([
    ["VACUUM", 0, "VACUUM"],
    ["full auto-vacuum", 1, "SELECT 1"],
    ["incremental vacuum", 2, "PRAGMA incremental_vacuum(60)"],
  ])("leaves out the pages that %s gave back", async (_name, autoVacuum, sql) => {
    using live = createLiveDatabase({ autoVacuum });
    using fixture = await CaptureFixture.start(live.path);
    for (let i = 0; i < 20; i++) live.exec(insert(3_000));
    await fixture.captureAll();
    const before = Number(live.value("PRAGMA page_count"));
    live.exec("DELETE FROM t WHERE id > 4");
    live.app.prepare(sql).all();
    const [file] = await fixture.captureAll();
    const { header, pages } = await fixture.decode(file.txid);
    expect(header.commit).toBe(Number(live.value("PRAGMA page_count")));
    expect(header.commit).toBeLessThan(before - 50);
    expect(Math.max(...pages.map(({ pgno }) => pgno))).toBeLessThanOrEqual(header.commit);
    await expectEqual(fixture);
    live.exec(insert(20_000));
    await fixture.captureAll();
    await expectEqual(fixture);
  });

  it("leaves out pages in the log that lie beyond the commit's size", async () => {
    using live = createLiveDatabase({ autoVacuum: 1, cachePages: 5 });
    using fixture = await CaptureFixture.start(live.path);
    await fixture.captureAll();
    // With so small a cache, the new pages reach the log before they are given back.
    live.exec(`BEGIN; ${insert(20_000)}; DELETE FROM t; PRAGMA user_version = 1; COMMIT`);
    const [file] = await fixture.captureAll();
    const { header, pages } = await fixture.decode(file.txid);
    // Otherwise this test would show nothing.
    expect(Math.max(...pgnosInLog(live.path))).toBeGreaterThan(header.commit);
    expect(Math.max(...pages.map(({ pgno }) => pgno))).toBeLessThanOrEqual(header.commit);
    await expectEqual(fixture);
  });

  it("goes on in the log that is begun anew after its own checkpoint", async () => {
    using live = createLiveDatabase();
    using fixture = await CaptureFixture.start(live.path);
    live.exec(insert(30_000));
    await fixture.checkpoint();
    const { walBytes } = fixture.capture;
    expect(await fixture.captureAll()).toEqual([]);
    live.exec(insert(10));
    const files = await fixture.captureAll();
    expect(files).toMatchObject([{ txid: 2n, imageReason: undefined }]);
    expect((await fixture.decode(files[0].txid)).header.walOffset).toBe(32);
    expect(fixture.capture.walBytes).toBeLessThan(walBytes);
    await expectEqual(fixture);
  });

  it("ends a file at the first commit beyond 64 MiB of log, and goes on behind it", async () => {
    using live = createLiveDatabase({ pageSize: 65_536, cachePages: 40 });
    using fixture = await CaptureFixture.start(live.path);
    await fixture.captureAll();
    for (let i = 0; i < 5; i++) live.exec("INSERT INTO t (body) VALUES (zeroblob(16000000))");
    live.exec(insert(10));
    const files = await fixture.captureAll();
    expect(files).toHaveLength(2);
    const sizes = [];
    for (const { txid } of files) sizes.push((await fixture.decode(txid)).header.walSize);
    expect(sizes[0]).toBeGreaterThanOrEqual(64 * 2 ** 20);
    expect(sizes[0]).toBeLessThan(64 * 2 ** 20 + 17_000_000);
    await expectEqual(fixture);
  });
});
