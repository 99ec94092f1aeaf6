import { describe, expect, it } from "vitest";
import { pageChecksum32 } from "../../../shared/ltx/checksum.ts";
import { storeSink } from "../../../shared/replica/edge-bundle/bundle-sink.ts";
import { LocationCache } from "../../../shared/replica/edge-bundle/location-cache.ts";
import { updateBundle } from "../../../shared/replica/edge-bundle/update-bundle.ts";
import { openSnapshot } from "../../../shared/replica/snapshot.ts";
import {
  bundledReplica,
  locate,
  openBundle,
  rowsSql,
  type BundledReplica,
} from "../../support/bundle-fixtures.ts";
import { childPgnos } from "../../../shared/sqlite/btree-page.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { countingStore } from "../../support/counting-store.ts";
import { makeDatabaseImages } from "../../support/database-images.ts";
import { imageAt } from "../../support/ltx-from-images.ts";
import { putSpans, type FileSpan } from "../../support/ltx-spans.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

/** Holds every page's location against the page map's, and its checksum against the page. */
async function expectSameLocations({ replica, images }: BundledReplica): Promise<void> {
  const head = await openBundle(replica);
  const snapshot = await openSnapshot(replica, { kind: "txid", txid: head.txid });
  const image = imageAt(images, images.versions.length);
  expect(head.commit).toBe(snapshot.commit);
  for (let pgno = 1; pgno <= snapshot.commit; pgno++) {
    const page = image.subarray((pgno - 1) * images.pageSize, pgno * images.pageSize);
    const found = await locate(head.locator, pgno, replica);
    const expected = snapshot.pages.get(pgno);
    expect(found).not.toBeNull();
    const info = head.plan.files[found!.file];
    expect({
      pgno,
      key: info.key,
      etag: info.etag,
      offset: found!.offset,
      size: found!.size,
    }).toEqual({
      pgno,
      key: snapshot.plan.files[expected!.file].key,
      etag: snapshot.plan.files[expected!.file].etag,
      offset: expected!.offset,
      size: expected!.size,
    });
    expect(found!.checksum).toBe(pageChecksum32(pgno, page));
  }
}

describe("BundleLocator", () => {
  it.each([512, 4096, 65_536])(
    "knows every page as the page map does, pages of %i bytes",
    async (pageSize) => {
      const bundled = await bundledReplica({
        pageSize,
        transactions: [
          rowsSql("a", 3_000),
          rowsSql("b", 500),
          "UPDATE a SET v = 'x' WHERE id % 97 = 0",
        ],
      });
      await expectSameLocations(bundled);
    },
  );

  it("lets what is newer than the base go before it", async () => {
    const spans: FileSpan[] = [
      [9, 1, 1],
      [1, 2, 2],
      [0, 3, 3],
      [0, 4, 4],
    ];
    const bundled = await bundledReplica(
      {
        pageSize: 1024,
        transactions: [
          rowsSql("a", 2_000),
          rowsSql("b", 500),
          "UPDATE a SET v = 'x' WHERE id % 97 = 0",
          "INSERT INTO b SELECT id + 1000, k, v FROM a WHERE id % 3 = 0; DELETE FROM a WHERE id < 50",
        ],
      },
      { spans },
    );
    expect(bundled.report.base.txid).toBe(2n);
    expect(bundled.report.content.delta.length).toBeGreaterThan(20);
    await expectSameLocations(bundled);
  });

  it("stays right with next to no memory, in any order", async () => {
    const script = { pageSize: 512, transactions: [rowsSql("a", 3_000), rowsSql("b", 500)] };
    const { replica } = await bundledReplica(script, { hotBytesMax: 2_000 });
    const { locator, plan, commit } = await openBundle(
      replica,
      new LocationCache({ bytesMax: 16 * 1024 }),
    );
    const { pages } = await openSnapshot(replica, { kind: "latest" });
    expect(plan.files).toHaveLength(2);
    for (let step = 0; step < 3 * commit; step++) {
      const pgno = 1 + ((step * 7919) % commit);
      expect(await locate(locator, pgno, replica)).toMatchObject(pages.get(pgno)!);
    }
  });

  it("answers many at a time, each by its own reads", async () => {
    const script = { pageSize: 512, transactions: [rowsSql("a", 2_000)] };
    const { replica } = await bundledReplica(script, { hotBytesMax: 1_000 });
    const { locator, commit } = await openBundle(replica);
    const { pages } = await openSnapshot(replica, { kind: "latest" });
    const pgnos = Array.from({ length: commit }, (_, index) => index + 1);
    const found = await Promise.all(pgnos.map((pgno) => locate(locator, pgno, replica)));
    for (const [index, location] of found.entries()) {
      expect(location).toMatchObject(pages.get(pgnos[index])!);
    }
  });

  it("knows no page before the first, behind the last, or where SQLite locks", async () => {
    const { replica } = await bundledReplica({ transactions: [rowsSql("a", 10)] });
    const { locator, commit } = await openBundle(replica);
    for (const pgno of [0, -1, commit + 1, 262_145]) expect(locator.get(pgno)).toBeNull();
    expect(await locator.find(commit + 1, { replica })).toEqual({ location: null });
  });

  it("gives out a page of its head without a read, as often as it is asked, and its children's places with it", async () => {
    const { replica, images } = await bundledReplica({ transactions: [rowsSql("a", 2_000)] });
    const { locator, content } = await openBundle(replica);
    const [, { pgno }] = content.hot;
    expect(locator.get(pgno)).toBeUndefined();
    const found = locator.atHand(pgno)!;
    const page = imageAt(images, 1).subarray((pgno - 1) * 4096, pgno * 4096);
    expect(Buffer.from(found.page!).equals(page)).toBe(true);
    expect(locator.get(pgno)).toEqual(found.location);
    for (const child of childPgnos(pgno, page)!) expect(locator.get(child)).toBeDefined();
    expect(locator.atHand(pgno)).toEqual(found);
    expect(locator.atHand(content.commit)).toBeUndefined();
  });

  it("lets heads of one base share what was read of it", async () => {
    const script = {
      pageSize: 512,
      transactions: [rowsSql("a", 3_000), "UPDATE a SET v = 'x' WHERE id = 9"],
    };
    const images = makeDatabaseImages(script);
    const counting = countingStore(new MemoryStore());
    const replica = replicaIn(counting);
    await putSpans(replica, images, [[9, 1, 1]]);
    await updateBundle(replica, storeSink(replica), { hotBytesMax: 1_000 });
    const cache = new LocationCache({ bytesMax: 1024 * 1024 });
    const first = await openBundle(replica, cache);
    const leaf = first.commit - 5;
    const found = await locate(first.locator, leaf, replica);
    await putSpans(replica, images, [[0, 2, 2]]);
    await updateBundle(replica, storeSink(replica), { hotBytesMax: 1_000 });
    const second = await openBundle(replica, cache);
    expect(second.txid).toBe(2n);
    counting.reset();
    expect(await locate(second.locator, leaf, replica)).toEqual(found);
    expect(counting.gets).toBe(0);
  });
});
