import { readFileSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findResumePoint, reconcile } from "../../../replicator/sync/reconcile.ts";
import { formatLtxKey } from "../../../shared/replica/ltx-key.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { CaptureFixture } from "../../support/capture-fixture.ts";
import { countingStore } from "../../support/counting-store.ts";
import { createLiveDatabase, type LiveDatabase } from "../../support/live-database.ts";
import { patched } from "../../support/ltx-fixtures.ts";
import { putLtx, replicaIn, txid } from "../../support/replica-fixtures.ts";

/** TXIDs 1 to 4 are staged, and 1 to 3 of them are in the store. */
let live: LiveDatabase;
let fixture: CaptureFixture;
beforeEach(async () => {
  live = createLiveDatabase();
  fixture = await CaptureFixture.start(live.path);
  await commit();
  await commit();
  await commit();
  await fixture.upload();
  await commit();
});
afterEach(() => {
  fixture[Symbol.dispose]();
  live[Symbol.dispose]();
});

async function commit(): Promise<void> {
  live.exec("INSERT INTO t (body) VALUES (randomblob(700))");
  await fixture.captureAll();
}

function start(replica = fixture.replica, pageSize = 512) {
  const { staging } = fixture;
  return reconcile(replica, { staging, source: { path: live.path, pageSize } });
}

/** Another's file in the store. */
async function putOther(level: number, minTxid: number, maxTxid = minTxid): Promise<void> {
  const pages = { 1: 7 };
  await putLtx(fixture.replica.store, { level, minTxid, maxTxid, pages });
}

function damage(id: number, byte: number): void {
  const path = fixture.staging.pathOf(txid(id));
  const bytes = readFileSync(path);
  writeFileSync(path, patched(bytes, byte, bytes[byte] ^ 1));
}

describe("reconcile", () => {
  it("uploads what the store lacks, and keeps of the rest the newest that is there", async () => {
    expect(await start()).toEqual({ txid: 4n, staged: 4n, pending: [4n], uploaded: 3n });
    expect(await fixture.staging.txids()).toEqual([3n, 4n]);
  });

  it("has nothing to upload when the store has all of it", async () => {
    await fixture.upload();
    expect(await start()).toEqual({ txid: 4n, staged: 4n, pending: [], uploaded: 4n });
  });

  it("asks the store for one listing, a header, and the ends of one file", async () => {
    await fixture.upload();
    const store = countingStore(fixture.replica.store);
    await start(replicaIn(store));
    expect({ lists: store.lists, gets: store.gets }).toEqual({ lists: 1, gets: 3 });
    expect(store.bytesRead).toBe(216);
  });

  it("uploads everything to an empty store", async () => {
    expect(await start(replicaIn(new MemoryStore()))).toEqual({
      txid: 4n,
      staged: 4n,
      pending: [1n, 2n, 3n, 4n],
      uploaded: undefined,
    });
  });

  it("begins anew with nothing here and nothing there", async () => {
    await fixture.staging.clear();
    expect(await start(replicaIn(new MemoryStore()))).toEqual({
      txid: undefined,
      staged: undefined,
      pending: [],
      uploaded: undefined,
    });
  });

  it.each([
    ["the store is ahead", () => putOther(0, 9), 9n],
    [
      "the store's newest is of another lineage",
      async () => {
        await fixture.replica.store.delete([keyOf(3)]);
        await putOther(0, 3);
      },
      3n,
    ],
    [
      "the store's newest differs in its pages only",
      async () => {
        const { bytes } = (await fixture.replica.store.get(keyOf(3)))!;
        await fixture.replica.store.put(
          keyOf(3),
          patched(bytes, bytes.length - 1, bytes.at(-1)! ^ 1),
        );
      },
      3n,
    ],
    [
      "level 0 is empty in the store, and another level reaches further",
      async () => {
        await fixture.replica.store.delete([1, 2, 3].map(keyOf));
        await putOther(1, 1, 5);
        await putOther(9, 1, 7);
        await putOther(3, 1, 6);
      },
      7n,
    ],
    ["a file is missing between those that are staged", () => fixture.staging.remove(txid(2)), 3n],
    [
      "what is staged begins after what the store has",
      async () => {
        for (const id of [1, 2, 3]) await fixture.staging.remove(txid(id));
      },
      3n,
    ],
    ["nothing is staged", () => fixture.staging.clear(), 3n],
    ["a staged file that waits is damaged", async () => damage(4, 150), 3n],
    ["a staged file that waits lacks its end", async () => cutOff(4), 3n],
  ])(
    "adopts the store's position and stages nothing that was there when %s",
    async (_name, arrange, newest) => {
      await arrange();
      expect(await start()).toEqual({
        txid: newest,
        staged: undefined,
        pending: [],
        uploaded: newest,
      });
      expect(await fixture.staging.txids()).toEqual([]);
    },
  );

  it("refuses a database whose pages have another size than those in the store", async () => {
    await expect(start(fixture.replica, 4096)).rejects.toMatchObject({
      code: "SOURCE_INVALID",
      message: expect.stringContaining("replicate to a new path") as string,
    });
    // Where nothing is in the store yet, nothing stands in the way.
    expect(await start(replicaIn(new MemoryStore()), 4096)).toMatchObject({ staged: undefined });
  });

  it("goes on though the store's newest file is damaged", async () => {
    await fixture.replica.store.put(keyOf(5), new Uint8Array(20));
    expect(await start()).toMatchObject({ txid: 5n, staged: undefined });
  });

  it("ships the whole database as the TXID after the store's newest then", async () => {
    await putOther(0, 9);
    fixture[Symbol.dispose]();
    using next = await CaptureFixture.start(live.path, { replica: fixture.replica });
    expect(next.isResumed).toBe(false);
    const files = await next.captureAll();
    expect(files).toMatchObject([{ txid: 10n, imageReason: expect.any(String) }]);
    expect((await next.decode(txid(10))).pages).toHaveLength(
      Number(live.value("PRAGMA page_count")),
    );
    fixture = await CaptureFixture.start(live.path, { replica: fixture.replica });
  });
});

function resumePoint() {
  return findResumePoint(fixture.staging, txid(4), fixture.source);
}

describe("findResumePoint", () => {
  it("is where the newest staged file ends in the log", async () => {
    expect(await resumePoint()).toEqual({
      commit: Number(live.value("PRAGMA page_count")),
      timestampMs: 1_700_000_000_000,
      position: fixture.capture.position,
    });
  });

  it("is found too when there are commits behind it", async () => {
    const { position } = fixture.capture;
    live.exec("DELETE FROM t WHERE id = 1");
    expect((await resumePoint())?.position).toEqual(position);
  });

  it.each([
    ["the staged file is damaged", async () => damage(4, 150)],
    ["the staged file is cut off", async () => cutOff(4)],
    [
      "the staged file is another's",
      async () =>
        writeFileSync(
          fixture.staging.pathOf(txid(4)),
          readFileSync(fixture.staging.pathOf(txid(3))),
        ),
    ],
    [
      "the log was begun anew",
      async () => fixture.checkpoint().then(() => live.exec("PRAGMA user_version = 2")),
    ],
    ["a frame of the log is another", async () => flipInLog(fixture.capture.walBytes - 100)],
    ["an earlier frame of the log is another", async () => flipInLog(100)],
    [
      "the log ends before it",
      async () => writeFileSync(fixture.source.walPath, readLog().subarray(0, -536)),
    ],
    ["the log is empty", async () => writeFileSync(fixture.source.walPath, "")],
  ])("is unknown when %s", async (_name, arrange) => {
    await arrange();
    expect(await resumePoint()).toBeUndefined();
  });

  it("is unknown for an image that was taken without a log", async () => {
    await fixture.checkpoint();
    live.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    fixture[Symbol.dispose]();
    await fixture.staging.clear();
    fixture = await CaptureFixture.start(live.path);
    const [image] = await fixture.captureAll();
    expect((await fixture.decode(image.txid)).header).toMatchObject({ walOffset: 32, walSize: 0 });
    live.exec("PRAGMA user_version = 2");
    expect(await findResumePoint(fixture.staging, image.txid, fixture.source)).toBeUndefined();
  });
});

function keyOf(id: number): string {
  return formatLtxKey(fixture.replica, { level: 0, minTxid: txid(id), maxTxid: txid(id) });
}

function cutOff(id: number): void {
  const path = fixture.staging.pathOf(txid(id));
  writeFileSync(path, readFileSync(path).subarray(0, -20));
}

function readLog(): Buffer {
  return readFileSync(fixture.source.walPath);
}

function flipInLog(offset: number): void {
  const log = readLog();
  writeFileSync(fixture.source.walPath, patched(log, offset, log[offset] ^ 1));
}
