/** Files that were verified, and files of which only the index was read, in one plan. */
import { describe, expect, test } from "vitest";
import type { LtxFile } from "../../../shared/replica/ltx-file.ts";
import { PageCache } from "../../../shared/replica/page-cache.ts";
import { PageReader } from "../../../shared/replica/page-reader.ts";
import {
  extendSnapshot,
  isVerifiable,
  openPlan,
  openSnapshot,
} from "../../../shared/replica/snapshot.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { sameBytes } from "../../support/ltx-fixtures.ts";
import { historyOf } from "../../support/page-history.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const LATEST = { kind: "latest" } as const;
/** A quarter of a megabyte, which is not read whole where nobody asks for it. */
const PAGES = 500;

function newCache(): PageCache {
  return new PageCache({ bytesMax: 10_000_000 });
}

async function readPage(reader: PageReader, pgno: number): Promise<Uint8Array | undefined> {
  if (!reader.resident(pgno)) await reader.load(pgno);
  return reader.resident(pgno);
}

describe("an answer is verified", () => {
  test("not where a newer file may hold the page for all that is known", async () => {
    const history = historyOf(
      [{ commit: 20 }, { commit: PAGES, changed: [3] }, { commit: PAGES, changed: [9] }],
      {
        kind: "noise",
      },
    );
    const replica = replicaIn(new MemoryStore());
    for (const [level, txid] of [
      [9, 1],
      [0, 2],
      [0, 3],
    ])
      await history.put(replica, level, txid);
    const cache = newCache();
    const snapshot = await openSnapshot(replica, LATEST, { cache });
    expect(isVerifiable(snapshot)).toBe(false);
    // Files 0 and 2 were read whole and verified, and of file 1, between them, only the index was read.
    const older = new PageReader(snapshot, { cache });
    expect(sameBytes((await readPage(older, 5))!, history.page(3, 5))).toBe(true);
    expect(older.stats.verified).toBe(false);
    const newer = new PageReader(snapshot, { cache });
    expect(sameBytes((await readPage(newer, 9))!, history.page(3, 9))).toBe(true);
    expect(newer.stats.verified).toBe(true);
    // The same of a page that is fetched, and of files that were put onto a snapshot.
    const [first, second, third] = snapshot.files;
    const plan = { files: [first], txid: first.maxTxid, exact: true };
    const base = await openPlan(replica, plan, { cache: newCache() });
    const extended = await extendSnapshot(base, [second, third], { wholeBytesMax: 65_536 });
    expect(isVerifiable(extended)).toBe(false);
    const fetching = new PageReader(extended, { cache: newCache() });
    expect(sameBytes((await readPage(fetching, 5))!, history.page(3, 5))).toBe(true);
    expect(fetching.stats.verified).toBe(false);
  });

  test("where a file that is to be verified had been opened by its index before", async () => {
    const history = historyOf([{ commit: 20 }, { commit: PAGES }], { kind: "noise" });
    const replica = replicaIn(new MemoryStore());
    for (const [level, txid] of [
      [9, 1],
      [0, 2],
    ])
      await history.put(replica, level, txid);
    const files = new Map<string, LtxFile>();
    const { files: infos } = await openSnapshot(replica, LATEST, { files });
    const plan = { files: infos.slice(0, 1), txid: infos[0].maxTxid, exact: true };
    const base = await openPlan(replica, plan, { files });
    const reader = new PageReader(await extendSnapshot(base, infos.slice(1), { files }), {
      cache: newCache(),
    });
    expect(sameBytes((await readPage(reader, 300))!, history.page(2, 300))).toBe(true);
    expect(reader.stats.verified).toBe(true);
  });

  test("of a whole snapshot, where each file of it was, and no file's index hides a newer version", async () => {
    const history = historyOf([{ commit: PAGES }, { commit: PAGES, changed: [9] }], {
      kind: "noise",
    });
    const replica = replicaIn(new MemoryStore());
    await history.put(replica, 9, 1);
    await history.put(replica, 0, 2);
    expect(isVerifiable(await openSnapshot(replica, LATEST))).toBe(false);
    const wholeBytesMax = 4 * 1024 * 1024;
    const snapshot = await openSnapshot(replica, LATEST, { wholeBytesMax });
    expect(isVerifiable(snapshot)).toBe(true);
    expect(isVerifiable({ ...snapshot, doubtfulFiles: 1 })).toBe(false);
    const reader = new PageReader(snapshot, { cache: newCache() });
    for (let pgno = 1; pgno <= PAGES; pgno++) await readPage(reader, pgno);
    expect(reader.stats.verified).toBe(true);
    // Only the large file behind the small one was not: the small one's pages are verified, and not all.
    const [first, second] = snapshot.files;
    const plan = { files: [first], txid: first.maxTxid, exact: true };
    const base = await openPlan(replica, plan);
    expect(isVerifiable(await extendSnapshot(base, [second]))).toBe(false);
  });
});
