import { describe, expect, it } from "vitest";
import { pageChecksum32 } from "../../../../shared/ltx/checksum.ts";
import { openSnapshot } from "../../../../shared/replica/snapshot.ts";
import {
  bundledReplica,
  locate,
  openBundle,
  rowsSql,
  type BundledReplica,
  type FileSpan,
} from "../../../support/bundle-fixtures.ts";
import { imageAt } from "../../../support/ltx-from-images.ts";

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
});
