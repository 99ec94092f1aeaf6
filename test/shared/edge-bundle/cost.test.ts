import { describe, expect, it } from "vitest";
import { LocationCache } from "../../../shared/replica/edge-bundle/location-cache.ts";
import {
  readBundleHead,
  snapshotOf,
} from "../../../shared/replica/edge-bundle/read-bundle-head.ts";
import { PageCache } from "../../../shared/replica/page-cache.ts";
import { PageReader } from "../../../shared/replica/page-reader.ts";
import { childPgnos } from "../../../shared/sqlite/btree-page.ts";
import { countingStore } from "../../support/counting-store.ts";
import { bundledReplica, rowsSql, type BundledReplica } from "../../support/bundle-fixtures.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const SCRIPT = { pageSize: 512, transactions: [rowsSql("a", 20_000)] };

/** A reader in an isolate that has nothing yet. */
async function coldReader({ replica: { store: filled } }: BundledReplica) {
  const store = countingStore(filled);
  const replica = replicaIn(store);
  const cache = new LocationCache({ bytesMax: 1024 * 1024 });
  const { head } = await readBundleHead(replica, { cache });
  if (!head) throw new Error("there is no bundle");
  const pages = new PageCache({ bytesMax: 1024 * 1024 });
  return { store, reader: new PageReader(snapshotOf(replica, head), { cache: pages }), head };
}

/** Reads from a root down to a leaf by each page's `choose`-th child, 0 to 1; returns the way. */
async function descend(reader: PageReader, root: number, choose: number): Promise<number[]> {
  const way = [root];
  for (;;) {
    const pgno = way.at(-1)!;
    await reader.load(pgno);
    const children = childPgnos(pgno, reader.resident(pgno)!);
    if (!children) return way;
    way.push(children[Math.floor(choose * (children.length - 1))]);
  }
}

describe("a cold read through a bundle", () => {
  it("takes two round trips to a leaf where the head has all interior pages", async () => {
    const { store, reader, head } = await coldReader(await bundledReplica(SCRIPT));
    const root = head.content.roots[0].pgno;
    const way = await descend(reader, root, 0.5);
    expect(way.length).toBeGreaterThan(2);
    expect(store.rounds).toBe(2);
    expect(store.gets).toBe(2);
    expect(reader.stats.verified).toBe(true);
  });

  it("reads nothing of what SQLite begins with: pages 1 and 2, and what ANALYZE has found", async () => {
    const sql = `${rowsSql("a", 20_000)}; ANALYZE`;
    const { store, reader, head } = await coldReader(
      await bundledReplica({ pageSize: 512, transactions: [sql] }),
    );
    store.reset();
    const statistics = head.content.roots.at(-1)!.pgno;
    for (const pgno of [1, 2, statistics]) await reader.load(pgno);
    expect(store.gets).toBe(0);
    expect(reader.stats).toMatchObject({ requests: 0, verified: true });
    // Not the leaf beside them: those were no scan.
    await reader.load(3);
    // Its place in the map, and itself.
    expect(store.gets).toBe(2);
    expect(reader.stats.pages).toBe(1);
  });

  it("takes one more where the lowest interior pages are in the base, and then one a leaf", async () => {
    const bundled = await bundledReplica(SCRIPT, { hotBytesMax: 2 * 1024 });
    expect(bundled.report.content.hot.length).toBeLessThan(10);
    const { store, reader, head } = await coldReader(bundled);
    const root = head.content.roots[0].pgno;
    const way = await descend(reader, root, 1);
    expect(way.length).toBeGreaterThan(2);
    expect(store.rounds).toBe(3);
    expect(store.keysRead.map((key) => key.split("/").slice(1, 3).join("/").slice(0, 9))).toEqual([
      "eddy/head",
      "eddy/base",
      "0000/0000",
    ]);
    const siblings = childPgnos(way.at(-2)!, reader.resident(way.at(-2)!)!)!;
    store.reset();
    await reader.load(siblings[0]);
    expect(store.gets).toBe(1);
    expect(reader.stats.verified).toBe(true);
  });

  it("takes three for a page that is nobody's child: the page map is in between", async () => {
    const sql = "CREATE TABLE b (v BLOB); INSERT INTO b VALUES (zeroblob(9000))";
    const bundled = await bundledReplica({ pageSize: 512, transactions: [sql] });
    const { store, reader, head } = await coldReader(bundled);
    await reader.load(head.commit - 3);
    expect(store.rounds).toBe(3);
    expect(store.gets).toBe(3);
  });
});
