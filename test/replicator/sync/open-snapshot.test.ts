import { describe, expect, it } from "vitest";
import { Checkpoints } from "../../../replicator/sync/checkpoint.ts";
import { openSnapshot } from "../../../replicator/sync/open-snapshot.ts";
import { decodeLtx } from "../../../shared/ltx/decoder.ts";
import type { OpenSnapshot } from "../../../replicator/compaction/write-snapshot.ts";
import { CaptureFixture } from "../../support/capture-fixture.ts";
import { createLiveDatabase, differingPages, imageNow } from "../../support/live-database.ts";
import { concatBytes } from "../../support/ltx-fixtures.ts";

const never = new AbortController().signal;
const insert = (bytes: number) => `INSERT INTO t (body) VALUES (randomblob(${bytes}))`;
const manyPages = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
  INSERT INTO t (body) SELECT randomblob(480) FROM n`;

function checkpointsOf(fixture: CaptureFixture): Checkpoints {
  return new Checkpoints({
    source: fixture.source,
    capture: fixture.capture,
    captureWhatIsThere: async () => void (await fixture.captureAll()),
    stageHeld: async (file) => void (await file.finish()),
    onCheckpoint: () => undefined,
  });
}

async function open(fixture: CaptureFixture, checkpoints = checkpointsOf(fixture)) {
  const ship = () => fixture.captureAll();
  return await openSnapshot({ checkpoints, capture: fixture.capture, ship }, never);
}

/** Takes the snapshot piece by piece; `between` runs before each but the first. */
async function imageOf(
  snapshot: OpenSnapshot,
  between: () => void | Promise<void> = () => undefined,
): Promise<Buffer> {
  using _ = snapshot;
  const pieces: Uint8Array[] = [];
  for (const piece of snapshot.pieces) {
    pieces.push(piece);
    await between();
  }
  const { header, pages } = decodeLtx(concatBytes(pieces));
  expect(header).toMatchObject({
    minTxid: 1n,
    maxTxid: snapshot.txid,
    flags: 2,
    walOffset: 0,
    walSize: 0,
    walSalt1: 0,
    walSalt2: 0,
  });
  const image = Buffer.alloc(header.commit * header.pageSize);
  for (const { pgno, data } of pages) image.set(data, (pgno - 1) * header.pageSize);
  return image;
}

describe("openSnapshot", () => {
  it.each([512, 4096, 65_536])(
    "reads the database as it is, out of its file and its log: pages of %i bytes",
    async (pageSize) => {
      using live = createLiveDatabase({ pageSize });
      using fixture = await CaptureFixture.start(live.path);
      live.exec(insert(9 * pageSize));
      await fixture.captureAll();
      await fixture.checkpoint();
      live.exec(insert(5 * pageSize));
      const snapshot = await open(fixture);
      expect(snapshot.txid).toBe(fixture.capture.txid);
      const image = await imageOf(snapshot);
      expect(differingPages(image, imageNow(fixture.source), pageSize)).toEqual([]);
    },
  );

  it("keeps to its TXID while the application writes, vacuums and checkpoints, and captures go on", async () => {
    using live = createLiveDatabase();
    using fixture = await CaptureFixture.start(live.path);
    live.exec(manyPages);
    live.exec(manyPages);
    await fixture.captureAll();
    await fixture.checkpoint();
    live.exec("UPDATE t SET body = randomblob(490) WHERE id % 3 = 0");
    const snapshot = await open(fixture);
    const expected = imageNow(fixture.source);
    let pieces = 0;
    const image = await imageOf(snapshot, async () => {
      pieces++;
      live.exec(
        "UPDATE t SET body = randomblob(490) WHERE id % 7 = 1; DELETE FROM t WHERE id > 2900",
      );
      if (pieces === 2) live.exec("VACUUM");
      live.exec("PRAGMA wal_checkpoint(PASSIVE)");
      for (const { imageReason } of await fixture.captureAll()) expect(imageReason).toBeUndefined();
    });
    expect(pieces).toBeGreaterThan(2);
    expect(differingPages(image, expected, 512)).toEqual([]);
    expect(differingPages(await fixture.merged(), imageNow(fixture.source), 512)).toEqual([]);
  });

  it("finds its moment in a log that was begun anew behind the read lock", async () => {
    using live = createLiveDatabase();
    using fixture = await CaptureFixture.start(live.path);
    live.exec(manyPages);
    await fixture.checkpoint();
    // Few frames, where the read lock saw thousands in the log before it.
    live.exec(insert(10));
    expect(fixture.capture.position).toBeTypeOf("object");
    const image = await imageOf(await open(fixture));
    expect(differingPages(image, imageNow(fixture.source), 512)).toEqual([]);
  });

  it("is none before anything is captured", async () => {
    using live = createLiveDatabase();
    using fixture = await CaptureFixture.start(live.path);
    const checkpoints = checkpointsOf(fixture);
    const parts = { checkpoints, capture: fixture.capture, ship: async () => undefined };
    await expect(openSnapshot(parts, never)).rejects.toMatchObject({ code: "LOCAL_FILE" });
    // And it does not stay in the way of checkpoints.
    await fixture.captureAll();
    live.exec(manyPages);
    expect(checkpoints.isDue()).toBe(true);
  });

  it("is none while the read lock sees what is not captured: it may be in the database file", async () => {
    using live = createLiveDatabase();
    using fixture = await CaptureFixture.start(live.path);
    await fixture.captureAll();
    live.exec(manyPages);
    fixture.source.advanceReadLock();
    live.exec("PRAGMA wal_checkpoint(PASSIVE)");
    const parts = { checkpoints: checkpointsOf(fixture), capture: fixture.capture };
    await expect(
      openSnapshot({ ...parts, ship: async () => undefined }, never),
    ).rejects.toMatchObject({ code: "LOCAL_FILE" });
    const image = await imageOf(await open(fixture));
    expect(differingPages(image, imageNow(fixture.source), 512)).toEqual([]);
  });

  it("is given up when its log is begun anew while it is read", async () => {
    using live = createLiveDatabase();
    using fixture = await CaptureFixture.start(live.path);
    live.exec(manyPages);
    live.exec(manyPages);
    await fixture.checkpoint();
    // All of the log is in the file, so the next commit begins it anew.
    const snapshot = await open(fixture);
    await expect(imageOf(snapshot, () => live.exec(insert(10)))).rejects.toMatchObject({
      code: "LOCAL_FILE",
      message: expect.stringContaining("begun anew"),
    });
    live.exec(insert(10));
    const image = await imageOf(await open(fixture));
    expect(differingPages(image, imageNow(fixture.source), 512)).toEqual([]);
  });

  it("keeps the log from being checkpointed until it is disposed of, and no longer", async () => {
    using live = createLiveDatabase();
    using fixture = await CaptureFixture.start(live.path);
    await fixture.captureAll();
    const checkpoints = checkpointsOf(fixture);
    live.exec(manyPages);
    const snapshot = await open(fixture, checkpoints);
    const second = await open(fixture, checkpoints);
    expect(checkpoints.isDue()).toBe(false);
    snapshot[Symbol.dispose]();
    expect(checkpoints.isDue()).toBe(false);
    second[Symbol.dispose]();
    expect(checkpoints.isDue()).toBe(true);
  });

  it("waits for a checkpoint that is under way", async () => {
    using live = createLiveDatabase({ cachePages: 5_000 });
    using fixture = await CaptureFixture.start(live.path);
    await fixture.captureAll();
    const checkpoints = checkpointsOf(fixture);
    live.exec(manyPages);
    let isDone = false;
    const running = checkpoints.run().then(() => (isDone = true));
    const snapshot = await openSnapshot(
      { checkpoints, capture: fixture.capture, ship: async () => undefined },
      never,
    );
    expect(isDone).toBe(true);
    await running;
    const image = await imageOf(snapshot);
    expect(differingPages(image, imageNow(fixture.source), 512)).toEqual([]);
  });
});
